#include "coracle/sys/path.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <climits>
#include <vector>

namespace coracle::sys {
namespace {

constexpr int kRaceAttempts = 128;
constexpr std::chrono::milliseconds kRaceTime{2};
constexpr int kMaxLinks = 40;  // as the kernel: path_resolution(7)
constexpr std::uint64_t kResolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

// Both, since 128 attempts can be over before the attacker has been scheduled away.
class RaceLimit {
 public:
  bool Exceeded() {
    if (++attempts_ < kRaceAttempts) return false;
    const auto now = std::chrono::steady_clock::now();
    if (attempts_ == kRaceAttempts) deadline_ = now + kRaceTime;
    return now >= deadline_;
  }

 private:
  int attempts_ = 0;
  std::chrono::steady_clock::time_point deadline_;
};

// The raw call: a descriptor, or -1 and errno.
int Openat2(int root_fd, const char* path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(static_cast<unsigned>(flags) | O_CLOEXEC);
  how.mode = mode;
  how.resolve = kResolve;
  for (RaceLimit limit;;) {
    const long fd = ::syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    const int errnum = errno;
    if ((errnum != EAGAIN && errnum != EINTR) || limit.Exceeded()) {
      errno = errnum;
      return -1;
    }
  }
}

Error OpenError(const std::string& path, const char* how) {
  const int errnum = errno;
  if (errnum == ENOSYS)
    return {Code::kUnsupported, errnum,
            "openat2(2) is missing: a kernel of 5.15 or newer is needed"};
  Error error =
      KernelError("openat2(2) RESOLVE_IN_ROOT" + std::string(how) + " path=" + path, errnum);
  if (errnum == ENOENT) error.code = Code::kNotFound;
  return error;
}

// "/a//./b/" -> {"a", "b"}. ".." stays: the kernel resolves it, after symlinks.
std::vector<std::string> Components(const std::string& path) {
  std::vector<std::string> components;
  for (std::size_t begin = 0; begin < path.size();) {
    std::size_t end = path.find('/', begin);
    if (end == std::string::npos) end = path.size();
    std::string component = path.substr(begin, end - begin);
    if (!component.empty() && component != ".") components.push_back(std::move(component));
    begin = end + 1;
  }
  return components;
}

std::string Join(const std::vector<std::string>& components, std::size_t count) {
  std::string path = ".";
  for (std::size_t i = 0; i < count; ++i) path += "/" + components[i];
  return path;
}

Result<UniqueFd> OpenPath(int root_fd, const std::string& path, int flags) {
  UniqueFd fd(Openat2(root_fd, path.c_str(), O_PATH | flags, 0));
  if (!fd) return OpenError(path, " O_PATH");
  return fd;
}

// A link whose target is missing cannot be opened, but its target can be made: the same path with
// such links replaced by what they say. Images have them (/etc/resolv.conf -> ../run/...).
Result<std::vector<std::string>> FollowDangling(int root_fd, std::vector<std::string> components) {
  for (int links = 0; links < kMaxLinks; ++links) {
    std::size_t existing = components.size();
    UniqueFd directory;
    for (; !directory; --existing) {
      directory = UniqueFd(Openat2(root_fd, Join(components, existing).c_str(), O_PATH, 0));
      if (directory && existing == components.size()) return components;
      if (directory) break;
      if (errno != ENOENT || existing == 0) return OpenError(Join(components, existing), " O_PATH");
    }
    std::array<char, PATH_MAX> target{};
    const ssize_t size =
        ::readlinkat(directory.get(), components[existing].c_str(), target.data(), target.size());
    if (size < 0) return components;  // simply missing
    const std::string text(target.data(), static_cast<std::size_t>(size));
    std::vector<std::string> followed = Components(text);
    if (!text.starts_with('/'))
      followed.insert(followed.begin(), components.begin(), components.begin() + existing);
    followed.insert(followed.end(), components.begin() + existing + 1, components.end());
    components = std::move(followed);
  }
  return KernelError("follow links path=" + Join(components, components.size()), ELOOP);
}

// The directory that the first components name; what is missing is created, one by one, each
// inside the descriptor of its parent. ".." below a missing directory has no meaning: refused.
Result<UniqueFd> MakeParents(int root_fd, const std::vector<std::string>& components,
                             std::size_t count) {
  std::size_t existing = count;
  UniqueFd directory;
  for (;; --existing) {
    const std::string path = Join(components, existing);
    directory = UniqueFd(Openat2(root_fd, path.c_str(), O_PATH | O_DIRECTORY, 0));
    if (directory) break;
    if (errno != ENOENT || existing == 0) return OpenError(path, " O_PATH|O_DIRECTORY");
  }
  for (std::size_t i = existing; i < count; ++i) {
    const std::string& name = components[i];
    if (name == "..")
      return Error{Code::kInvalidConfig, EINVAL,
                   Join(components, i + 1) + ": `..` below a directory that does not exist"};
    if (::mkdirat(directory.get(), name.c_str(), 0755) != 0 && errno != EEXIST)
      return KernelError("mkdirat(2) path=" + Join(components, i + 1));
    // From the root again: only then does an absolute symlink that won the race stay inside.
    directory = TRY(OpenPath(root_fd, Join(components, i + 1), O_DIRECTORY));
  }
  return directory;
}

// The usual case: all is there but the directory itself.
bool MakeInParent(int root_fd, const std::vector<std::string>& components, mode_t mode) {
  if (components.empty() || components.back() == "..") return false;
  const std::string path = Join(components, components.size() - 1);
  const UniqueFd parent(Openat2(root_fd, path.c_str(), O_PATH | O_DIRECTORY, 0));
  return parent && ::mkdirat(parent.get(), components.back().c_str(), mode) == 0;
}

// A container may have put anything on /proc (CVE-2019-16884, CVE-2025-52881).
Result<UniqueFd> OpenOwnFds() {
  UniqueFd fds(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fds) return KernelError("open(2) path=/proc/self/fd");
  struct statfs filesystem {};
  if (::fstatfs(fds.get(), &filesystem) != 0) return KernelError("fstatfs(2) path=/proc/self/fd");
  if (filesystem.f_type != PROC_SUPER_MAGIC)
    return Error{Code::kKernel, ENOTSUP, "/proc/self/fd is not a procfs"};
  return fds;
}

Result<struct stat> StatRegular(int fd, const std::string& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return KernelError("fstat(2) path=" + path);
  if (!S_ISREG(status.st_mode))
    return Error{Code::kInvalidConfig, EINVAL, path + ": is not a regular file"};
  return status;
}

Error WrongKind(const std::string& path, const char* wanted) {
  return {Code::kInvalidConfig, EEXIST, path + ": exists, and is not a " + std::string(wanted)};
}

}  // namespace

Result<UniqueFd> OpenRoot(const std::string& host_path) {
  UniqueFd fd(::open(host_path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (fd) return fd;
  Error error = KernelError("open(2) O_PATH|O_DIRECTORY path=" + host_path);
  if (error.errnum == ENOENT) error.code = Code::kNotFound;
  return error;
}

Result<UniqueFd> OpenInRoot(int root_fd, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(Openat2(root_fd, path.c_str(), flags, mode));
  if (!fd) return OpenError(path, "");
  return fd;
}

Result<UniqueFd> OpenRegularInRoot(int root_fd, const std::string& path) {
  const UniqueFd seen = TRY(OpenInRoot(root_fd, path, O_PATH));
  const struct stat expected = TRY(StatRegular(seen.get(), path));
  UniqueFd file = TRY(OpenInRoot(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  const struct stat opened = TRY(StatRegular(file.get(), path));
  if (opened.st_dev != expected.st_dev || opened.st_ino != expected.st_ino)
    return Error{Code::kKernel, EAGAIN, path + ": was exchanged while it was opened"};
  return file;
}

Result<Parent> OpenParentInRoot(int root_fd, const std::string& path, bool create_missing) {
  std::vector<std::string> components = Components(path);
  if (create_missing && !components.empty() && components.back() != "..") {
    const std::string parents = Join(components, components.size() - 1);
    UniqueFd there(Openat2(root_fd, parents.c_str(), O_PATH | O_DIRECTORY, 0));
    if (there) return Parent{std::move(there), std::move(components.back())};
    std::string name = std::move(components.back());
    components.pop_back();
    components = TRY(FollowDangling(root_fd, std::move(components)));
    components.push_back(std::move(name));
  }
  if (components.empty() || components.back() == "..")
    return Parent{TRY(OpenPath(root_fd, Join(components, components.size()), O_DIRECTORY)), "."};
  const std::size_t parents = components.size() - 1;
  UniqueFd directory = create_missing
                           ? TRY(MakeParents(root_fd, components, parents))
                           : TRY(OpenPath(root_fd, Join(components, parents), O_DIRECTORY));
  return Parent{std::move(directory), components.back()};
}

Result<UniqueFd> MakeDirectoryInRoot(int root_fd, const std::string& path, mode_t mode) {
  UniqueFd there(Openat2(root_fd, path.c_str(), O_PATH | O_DIRECTORY, 0));
  if (there) return there;
  if (errno == ENOTDIR) return WrongKind(path, "directory");
  if (errno != ENOENT) return OpenError(path, " O_PATH|O_DIRECTORY");
  std::vector<std::string> components = Components(path);
  if (MakeInParent(root_fd, components, mode)) return OpenPath(root_fd, path, O_DIRECTORY);
  components = TRY(FollowDangling(root_fd, std::move(components)));
  const Parent parent = TRY(OpenParentInRoot(root_fd, Join(components, components.size()), true));
  if (parent.name != "." && ::mkdirat(parent.directory.get(), parent.name.c_str(), mode) != 0 &&
      errno != EEXIST)
    return KernelError("mkdirat(2) path=" + path);
  return OpenPath(root_fd, path, O_DIRECTORY);
}

Result<UniqueFd> MakeFileInRoot(int root_fd, const std::string& path, mode_t mode) {
  UniqueFd there(Openat2(root_fd, path.c_str(), O_PATH, 0));
  if (!there) {
    if (errno != ENOENT) return OpenError(path, " O_PATH");
    const auto components = TRY(FollowDangling(root_fd, Components(path)));
    const Parent parent = TRY(OpenParentInRoot(root_fd, Join(components, components.size()), true));
    const UniqueFd made(::openat(parent.directory.get(), parent.name.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!made && errno != EEXIST) return KernelError("openat(2) O_CREAT|O_EXCL path=" + path);
    there = TRY(OpenPath(root_fd, path, 0));
  }
  struct stat status {};
  if (::fstat(there.get(), &status) != 0) return KernelError("fstat(2) path=" + path);
  if (S_ISDIR(status.st_mode)) return WrongKind(path, "file");
  return there;
}

Result<UniqueFd> Reopen(int fd, int flags) {
  const UniqueFd fds = TRY(OpenOwnFds());
  UniqueFd again(::openat(fds.get(), std::to_string(fd).c_str(), flags | O_CLOEXEC));
  if (!again) return KernelError("openat(2) path=" + FdPath(fd));
  return again;
}

std::string FdPath(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

Result<std::string> VerifiedFdPath(int fd) {
  TRY(OpenOwnFds());
  return FdPath(fd);
}

}  // namespace coracle::sys
