#include "copy_up.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>

#include "coracle/base/unique_fd.h"

namespace coracle::runtime {
namespace {

Status CopyDirectory(UniqueFd from, int to_fd, dev_t device);

Status CopyFile(int from_fd, int to_fd, const std::string& name) {
  // It was a regular file, and by now may be a FIFO.
  const UniqueFd from(
      ::openat(from_fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!from) return KernelError("openat(2) name=" + name);
  const UniqueFd to(::openat(to_fd, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to) return KernelError("openat(2) O_CREAT|O_EXCL name=" + name);
  for (;;) {
    const ssize_t sent = ::sendfile(to.get(), from.get(), nullptr, 1UL << 30);
    if (sent == 0) return {};
    if (sent < 0 && errno != EINTR) return KernelError("sendfile(2) name=" + name);
  }
}

Status CopyLink(int from_fd, int to_fd, const std::string& name) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlinkat(from_fd, name.c_str(), target.data(), target.size() - 1);
  if (size < 0) return KernelError("readlinkat(2) name=" + name);
  if (::symlinkat(target.data(), to_fd, name.c_str()) == 0) return {};
  return KernelError("symlinkat(2) name=" + name);
}

Status CopyChild(int from_fd, int to_fd, const std::string& name, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return CopyFile(from_fd, to_fd, name);
  if (S_ISLNK(status.st_mode)) return CopyLink(from_fd, to_fd, name);
  if (!S_ISDIR(status.st_mode)) {
    if (::mknodat(to_fd, name.c_str(), status.st_mode, status.st_rdev) == 0) return {};
    return KernelError("mknodat(2) name=" + name);
  }
  if (::mkdirat(to_fd, name.c_str(), 0700) != 0) return KernelError("mkdirat(2) name=" + name);
  UniqueFd from(::openat(from_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const UniqueFd to(::openat(to_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!from || !to) return KernelError("openat(2) name=" + name);
  return CopyDirectory(std::move(from), to.get(), status.st_dev);
}

// Owner first, since chown(2) takes set-user-ID off the mode.
Status CopyAttributes(int to_fd, const std::string& name, const struct stat& status) {
  if (::fchownat(to_fd, name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0)
    return KernelError("fchownat(2) name=" + name);
  if (!S_ISLNK(status.st_mode) && ::fchmodat(to_fd, name.c_str(), status.st_mode & 07777, 0) != 0)
    return KernelError("fchmodat(2) name=" + name);
  const std::array<timespec, 2> times = {status.st_atim, status.st_mtim};
  if (::utimensat(to_fd, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW) != 0)
    return KernelError("utimensat(2) name=" + name);
  return {};
}

Status CopyDirectory(UniqueFd from, int to_fd, dev_t device) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(from.get()), ::closedir);
  if (dir == nullptr) return KernelError("fdopendir(3)");
  const int from_fd = from.release();  // closedir(3) owns it now
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    if (::fstatat(from_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return KernelError("fstatat(2) name=" + name);
    if (status.st_dev != device) continue;
    TRY(CopyChild(from_fd, to_fd, name, status));
    TRY(CopyAttributes(to_fd, name, status));
  }
  return {};
}

}  // namespace

Status CopyUp(int from_fd, int to_fd) {
  UniqueFd from(::openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!from) return KernelError("openat(2) of the directory to copy");
  struct stat status {};
  if (::fstat(from.get(), &status) != 0) return KernelError("fstat(2) of the directory to copy");
  if (::fchownat(to_fd, "", status.st_uid, status.st_gid, AT_EMPTY_PATH) != 0)
    return KernelError("fchownat(2) of the new file system");
  return CopyDirectory(std::move(from), to_fd, status.st_dev);
}

}  // namespace coracle::runtime
