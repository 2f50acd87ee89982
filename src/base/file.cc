#include "coracle/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "coracle/base/unique_fd.h"

namespace coracle {
namespace {

std::string DirectoryOf(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status SyncDirectory(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return KernelError("open(2) path=" + path);
  if (::fsync(fd.get()) != 0) return KernelError("fsync(2) path=" + path);
  return {};
}

Status WriteTemporary(const std::string& path, std::string_view text, mode_t mode,
                      Durable durable) {
  const UniqueFd fd(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd) return KernelError("open(2) O_CREAT|O_EXCL path=" + path);
  TRY(WriteAll(fd.get(), text, path));
  if (::fchmod(fd.get(), mode) != 0) return KernelError("fchmod(2) path=" + path);
  if (durable == Durable::kYes && ::fsync(fd.get()) != 0)
    return KernelError("fsync(2) path=" + path);
  return {};
}

// Removes what is below `dir_fd`; `name` is only for messages.
Status RemoveBelow(UniqueFd dir_fd, dev_t device, const std::string& name) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(dir_fd.get()), ::closedir);
  if (dir == nullptr) return KernelError("fdopendir(3) path=" + name);
  const int fd = dir_fd.release();  // closedir(3) owns it now
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string child = entry->d_name;
    if (child == "." || child == "..") continue;
    if (::unlinkat(fd, child.c_str(), 0) == 0 || errno == ENOENT) continue;
    if (errno != EISDIR && errno != EPERM && errno != ENOTEMPTY)
      return KernelError("unlinkat(2) path=" + name + "/" + child);
    UniqueFd below(::openat(fd, child.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below) return KernelError("openat(2) path=" + name + "/" + child);
    struct stat status {};
    if (::fstat(below.get(), &status) != 0) return KernelError("fstat(2) path=" + name);
    if (status.st_dev != device)
      return Error{Code::kKernel, EXDEV, name + "/" + child + ": a mount is still here"};
    TRY(RemoveBelow(std::move(below), device, name + "/" + child));
    if (::unlinkat(fd, child.c_str(), AT_REMOVEDIR) != 0)
      return KernelError("unlinkat(2) AT_REMOVEDIR path=" + name + "/" + child);
  }
  return {};
}

}  // namespace

Result<std::string> ReadFd(int fd, const std::string& name, std::size_t limit_bytes) {
  std::string text;
  struct stat status {};
  if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0)
    text.reserve(std::min(static_cast<std::size_t>(status.st_size), limit_bytes));
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return KernelError("read(2) path=" + name);
    if (size == 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
    if (text.size() > limit_bytes)
      return Error{Code::kInvalidConfig, EFBIG,
                   name + ": larger than " + std::to_string(limit_bytes) + " bytes"};
  }
}

Result<std::string> ReadFile(const std::string& path, std::size_t limit_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) {
    Error error = KernelError("open(2) path=" + path);
    if (error.errnum == ENOENT) error.code = Code::kNotFound;
    return error;
  }
  return ReadFd(fd.get(), path, limit_bytes);
}

Status WriteKernelFileAt(int dir_fd, const std::string& name, std::string_view text) {
  const UniqueFd fd(::openat(dir_fd, name.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return KernelError("open(2) path=" + name);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return KernelError("write(2) path=" + name + " text=" + std::string(text));
  return {};
}

Status WriteKernelFile(const std::string& path, std::string_view text) {
  return WriteKernelFileAt(AT_FDCWD, path, text);
}

Status WriteAll(int fd, std::string_view data, const std::string& name) {
  while (!data.empty()) {
    const ssize_t size = ::write(fd, data.data(), data.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return KernelError("write(2) path=" + name);
    data.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

Result<PendingFile> PendingFile::Write(const std::string& path, std::string_view text, mode_t mode,
                                       Durable durable) {
  PendingFile file;
  file.path_ = path;
  file.durable_ = durable;
  file.temporary_ = path + ".tmp." + std::to_string(::getpid()) + "." + std::to_string(::gettid());
  TRY(WriteTemporary(file.temporary_, text, mode, durable));
  return file;
}

PendingFile::PendingFile(PendingFile&& other) noexcept { *this = std::move(other); }

PendingFile& PendingFile::operator=(PendingFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(durable_, other.durable_);
  return *this;
}

PendingFile::~PendingFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status PendingFile::Commit() {
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return KernelError("rename(2) to=" + path_);
  temporary_.clear();
  return durable_ == Durable::kYes ? SyncDirectory(DirectoryOf(path_)) : Status();
}

Status WriteFileAtomically(const std::string& path, std::string_view text, mode_t mode,
                           Durable durable) {
  return TRY(PendingFile::Write(path, text, mode, durable)).Commit();
}

Status MakeDirectories(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return KernelError("mkdir(2) path=" + path);
  const std::string parent = DirectoryOf(path);
  if (parent == path || parent == ".") return KernelError("mkdir(2) path=" + path, ENOENT);
  TRY(MakeDirectories(parent, mode));
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return KernelError("mkdir(2) path=" + path);
}

Status RemoveTree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return errno == ENOENT ? Status() : Status(KernelError("open(2) path=" + path));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return KernelError("fstat(2) path=" + path);
  TRY(RemoveBelow(std::move(fd), status.st_dev, path));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return KernelError("rmdir(2) path=" + path);
  return {};
}

}  // namespace coracle
