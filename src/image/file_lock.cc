#include "file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

namespace coracle::image {
namespace {

// The holder may rename or remove the file (a download that is complete): then the lock we got
// belongs to a file that nobody else will open again.
bool IsStillAt(int fd, const std::string& path) {
  struct stat ours {
  }, there{};
  return ::fstat(fd, &ours) == 0 && ::lstat(path.c_str(), &there) == 0 &&
         ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

}  // namespace

Error Cancelled() { return {Code::kKernel, ECANCELED, "cancelled"}; }

Result<UniqueFd> TryLockFile(const std::string& path, LockMode mode) {
  const int operation = (mode == LockMode::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  for (;;) {
    UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!fd) return KernelError("open(2) path=" + path);
    if (::flock(fd.get(), operation) != 0) {
      if (errno == EINTR) continue;
      if (errno == EWOULDBLOCK) return UniqueFd();
      return KernelError("flock(2) path=" + path);
    }
    if (IsStillAt(fd.get(), path)) return fd;
  }
}

Result<UniqueFd> LockFile(const std::string& path, LockMode mode, const std::stop_token& cancel) {
  // Polled, since flock(2) cannot be interrupted by a stop request; waits are rare and long.
  for (;;) {
    if (cancel.stop_requested()) return Cancelled();
    UniqueFd fd = TRY(TryLockFile(path, mode));
    if (fd) return fd;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace coracle::image
