// The only way to touch a path inside a root filesystem: a directory descriptor and openat2(2)
// with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS. Nothing here takes a host path to a file in it.
//
// openat2 answers EAGAIN when a rename races with ".."; we try 128 times and 2 ms more, then give
// the error.
// A kernel without openat2 is refused: there is no fallback resolver.
#pragma once

#include <sys/types.h>

#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::sys {

// A host directory as root for the calls below (O_PATH | O_DIRECTORY).
Result<UniqueFd> OpenRoot(const std::string& host_path);

// `flags` as open(2); O_CLOEXEC is always added. `path` may start with '/': it means the root.
Result<UniqueFd> OpenInRoot(int root_fd, const std::string& path, int flags, mode_t mode = 0);

// A regular file, for reading. What is none is not even opened, since a device would notice
// (/dev/watchdog) and a FIFO would wait: EINVAL.
Result<UniqueFd> OpenRegularInRoot(int root_fd, const std::string& path);

// The parent directory of `path`, and its last component ("." for the root itself). Parents that
// are missing are created 0755, each opened without following a symlink out of the root.
struct Parent {
  UniqueFd directory;
  std::string name;
};
Result<Parent> OpenParentInRoot(int root_fd, const std::string& path, bool create_missing);

// What `path` names: created, with its parents, as directory or empty regular file if missing.
// Returned as O_PATH descriptor. Another kind of file that exists is an error.
Result<UniqueFd> MakeDirectoryInRoot(int root_fd, const std::string& path, mode_t mode = 0755);
Result<UniqueFd> MakeFileInRoot(int root_fd, const std::string& path, mode_t mode = 0644);

// Opens again what an O_PATH descriptor names, through /proc/self/fd of a verified procfs.
Result<UniqueFd> Reopen(int fd, int flags);

// "/proc/self/fd/N": for system calls that take a path but no descriptor.
std::string FdPath(int fd);
// The same where somebody else may have made /proc: an error unless it is a procfs.
Result<std::string> VerifiedFdPath(int fd);

}  // namespace coracle::sys
