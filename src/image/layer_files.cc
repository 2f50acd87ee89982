#include "layer_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "coracle/base/file.h"
#include "coracle/sys/path.h"

namespace coracle::image {
namespace {

constexpr int kMaxTreeDepth = 2000;  // of directories; paths of 4096 bytes do not allow more

std::string Shown(const DirEntryRef& ref) { return "copy entry=" + ref.name; }

Status CopyXattrs(int from_fd, int to_fd) {
  std::string names(65536, '\0');
  const ssize_t size = ::flistxattr(from_fd, names.data(), names.size());
  if (size < 0) return errno == ENOTSUP ? Status() : Status(KernelError("flistxattr(2)"));
  names.resize(static_cast<std::size_t>(size));
  std::string value(65536, '\0');
  for (std::size_t begin = 0; begin < names.size();) {
    const std::string name = names.c_str() + begin;
    begin += name.size() + 1;
    if (name != "security.capability" && !name.starts_with("user.")) continue;
    const ssize_t length = ::fgetxattr(from_fd, name.c_str(), value.data(), value.size());
    if (length < 0) return KernelError("fgetxattr(2) name=" + name);
    if (::fsetxattr(to_fd, name.c_str(), value.data(), static_cast<std::size_t>(length), 0) != 0 &&
        !(errno == ENOTSUP && name.starts_with("user.")))
      return KernelError("fsetxattr(2) name=" + name);
  }
  return {};
}

Status CopyAttributes(int from_fd, int to_fd, const struct stat& status) {
  if (::fchown(to_fd, status.st_uid, status.st_gid) != 0) return KernelError("fchown(2)");
  if (::fchmod(to_fd, status.st_mode & 07777) != 0) return KernelError("fchmod(2)");
  TRY(CopyXattrs(from_fd, to_fd));
  const timespec times[2] = {status.st_atim, status.st_mtim};
  if (::futimens(to_fd, times) != 0) return KernelError("futimens(2)");
  return {};
}

// Only the pieces that hold data, so that sparse files stay sparse.
Status CopyData(int from_fd, int to_fd, off_t size) {
  off_t position = 0;
  while (position < size) {
    const off_t data = ::lseek(from_fd, position, SEEK_DATA);
    if (data < 0) break;  // only a hole is left
    const off_t hole = ::lseek(from_fd, data, SEEK_HOLE);
    off_t source = data;
    if (::lseek(to_fd, data, SEEK_SET) < 0) return KernelError("lseek(2)");
    while (source < hole) {
      const ssize_t sent =
          ::sendfile(to_fd, from_fd, &source, static_cast<std::size_t>(hole - source));
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return KernelError("sendfile(2)");
      if (sent == 0) return Error{Code::kKernel, EIO, "file became shorter while it was copied"};
    }
    position = hole;
  }
  if (::ftruncate(to_fd, size) != 0) return KernelError("ftruncate(2)");
  return {};
}

Status CopyRegular(const DirEntryRef& from, const DirEntryRef& to) {
  const UniqueFd source(
      ::openat(from.dir_fd, from.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!source) return KernelError("openat(2) " + Shown(from));
  struct stat status {};
  if (::fstat(source.get(), &status) != 0) return KernelError("fstat(2) " + Shown(from));
  const UniqueFd target(::openat(to.dir_fd, to.name.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!target) return KernelError("openat(2) O_CREAT|O_EXCL " + Shown(to));
  TRY(CopyData(source.get(), target.get(), status.st_size));
  return CopyAttributes(source.get(), target.get(), status);
}

Status CopySymlink(const DirEntryRef& from, const DirEntryRef& to) {
  std::string target(4097, '\0');
  const ssize_t size =
      ::readlinkat(from.dir_fd, from.name.c_str(), target.data(), target.size() - 1);
  if (size < 0) return KernelError("readlinkat(2) " + Shown(from));
  target.resize(static_cast<std::size_t>(size));
  if (::symlinkat(target.c_str(), to.dir_fd, to.name.c_str()) != 0)
    return KernelError("symlinkat(2) " + Shown(to));
  return {};
}

Status CopySpecial(const DirEntryRef& to, const struct stat& status) {
  if (::mknodat(to.dir_fd, to.name.c_str(), (status.st_mode & S_IFMT) | 0600, status.st_rdev) != 0)
    return KernelError("mknodat(2) " + Shown(to));
  return {};
}

// One directory tree on its way, with the files of more than one name that were copied already.
class TreeCopy {
 public:
  explicit TreeCopy(int to_root) : to_root_(to_root) {}
  Status Directory(int from_fd, int to_fd, const std::string& path, int depth);

 private:
  Status Entry(const DirEntryRef& from, const DirEntryRef& to, const std::string& path, int depth);
  int to_root_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;
};

Status TreeCopy::Entry(const DirEntryRef& from, const DirEntryRef& to, const std::string& path,
                       int depth) {
  struct stat status {};
  if (::fstatat(from.dir_fd, from.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return KernelError("fstatat(2) " + path);
  if (S_ISDIR(status.st_mode)) {
    if (::mkdirat(to.dir_fd, to.name.c_str(), 0700) != 0) return KernelError("mkdirat(2) " + path);
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    const UniqueFd from_fd(::openat(from.dir_fd, from.name.c_str(), kFlags));
    const UniqueFd to_fd(::openat(to.dir_fd, to.name.c_str(), kFlags));
    if (!from_fd || !to_fd) return KernelError("openat(2) O_DIRECTORY " + path);
    TRY(Directory(from_fd.get(), to_fd.get(), path, depth + 1));
    return CopyDirectoryAttributes(from_fd.get(), to_fd.get());
  }
  if (status.st_nlink > 1) {
    const auto [first, is_new] = linked_.try_emplace({status.st_dev, status.st_ino}, path);
    if (!is_new) return LinkInLayer(to_root_, first->second, to.dir_fd, to.name);
  }
  return CopyNode(from, to);
}

Status TreeCopy::Directory(int from_fd, int to_fd, const std::string& path, int depth) {
  if (depth > kMaxTreeDepth)
    return Error{Code::kInvalidConfig, ELOOP, "copy: more than 2000 nested directories"};
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(::dup(from_fd)), ::closedir);
  if (dir == nullptr) return KernelError("fdopendir(3) " + path);
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    TRY(Entry({from_fd, name}, {to_fd, name}, path.empty() ? name : path + "/" + name, depth));
  }
  return {};
}

}  // namespace

bool IsWhiteout(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
}

Status MakeWhiteout(int dir_fd, const std::string& name) {
  if (::mknodat(dir_fd, name.c_str(), S_IFCHR, makedev(0, 0)) != 0)
    return KernelError("mknodat(2) whiteout=" + name);
  return {};
}

Status SetOpaque(int dir_fd, const std::string& name) {
  const UniqueFd fd(
      ::openat(dir_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return KernelError("openat(2) O_DIRECTORY opaque=" + name);
  if (::fsetxattr(fd.get(), "trusted.overlay.opaque", "y", 1, 0) != 0)
    return KernelError("fsetxattr(2) name=trusted.overlay.opaque entry=" + name);
  return {};
}

Status LinkInLayer(int root_fd, const std::string& target, int dir_fd, const std::string& name) {
  const sys::Parent from = TRY(sys::OpenParentInRoot(root_fd, target, false));
  if (::linkat(from.directory.get(), from.name.c_str(), dir_fd, name.c_str(), 0) != 0)
    return KernelError("linkat(2) target=" + target + " entry=" + name);
  return {};
}

Status CopyDirectoryAttributes(int from_fd, int to_fd) {
  struct stat status {};
  if (::fstat(from_fd, &status) != 0) return KernelError("fstat(2)");
  return CopyAttributes(from_fd, to_fd, status);
}

Status CopyNode(const DirEntryRef& from, const DirEntryRef& to) {
  struct stat status {};
  if (::fstatat(from.dir_fd, from.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return KernelError("fstatat(2) " + Shown(from));
  if (S_ISREG(status.st_mode)) return CopyRegular(from, to);
  TRY(S_ISLNK(status.st_mode) ? CopySymlink(from, to) : CopySpecial(to, status));
  if (::fchownat(to.dir_fd, to.name.c_str(), status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) !=
      0)
    return KernelError("fchownat(2) " + Shown(to));
  if (!S_ISLNK(status.st_mode) &&
      ::fchmodat(to.dir_fd, to.name.c_str(), status.st_mode & 07777, 0) != 0)
    return KernelError("fchmodat(2) " + Shown(to));
  const timespec times[2] = {status.st_atim, status.st_mtim};
  if (::utimensat(to.dir_fd, to.name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
    return KernelError("utimensat(2) " + Shown(to));
  return {};
}

Status CopyTree(int from_fd, int to_fd) {
  TRY(TreeCopy(to_fd).Directory(from_fd, to_fd, "", 0));
  return CopyDirectoryAttributes(from_fd, to_fd);
}

}  // namespace coracle::image
