// Whole small files: read, write, replace. Paths are our own or the host's; a path inside a root
// filesystem never comes here (see sys/path.h).
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "coracle/base/result.h"

namespace coracle {

inline constexpr std::size_t kMaxSmallFile = 16UL << 20;  // bytes

// At most `limit_bytes`; more is an error that says so.
Result<std::string> ReadFile(const std::string& path, std::size_t limit_bytes = kMaxSmallFile);
Result<std::string> ReadFd(int fd, const std::string& name,
                           std::size_t limit_bytes = kMaxSmallFile);

// One open(2) O_WRONLY and one write(2): for kernel files (cgroup, proc, sysctl) that exist.
Status WriteKernelFile(const std::string& path, std::string_view text);
Status WriteKernelFileAt(int dir_fd, const std::string& name, std::string_view text);

enum class Durable : bool { kNo, kYes };  // kYes: fsync(2) of file and directory

// Replaces `path` whole or not at all: a temporary beside it, then rename(2).
Status WriteFileAtomically(const std::string& path, std::string_view text, mode_t mode = 0600,
                           Durable durable = Durable::kNo);

// The same in two steps: what is written can wait for its moment, which is one rename(2).
class PendingFile {
 public:
  static Result<PendingFile> Write(const std::string& path, std::string_view text,
                                   mode_t mode = 0600, Durable durable = Durable::kNo);
  PendingFile() = default;
  PendingFile(PendingFile&& other) noexcept;
  PendingFile& operator=(PendingFile&& other) noexcept;
  ~PendingFile();  // without Commit, nothing stays
  Status Commit();

 private:
  std::string path_, temporary_;
  Durable durable_ = Durable::kNo;
};

// Writes all of `data`, going on after short writes and EINTR.
Status WriteAll(int fd, std::string_view data, const std::string& name);

// mkdir -p. Existing directories stay as they are.
Status MakeDirectories(const std::string& path, mode_t mode = 0755);

// rm -r that neither follows a symlink nor crosses a mount; a missing path is success.
Status RemoveTree(const std::string& path);

}  // namespace coracle
