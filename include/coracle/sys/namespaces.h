// clone3(2), setns(2), unshare(2): namespaces(7).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::sys {

// "pid" -> CLONE_NEWPID; also "network" and "net", "mount" and "mnt". 0 for an unknown name.
std::uint64_t NamespaceFlag(std::string_view type);
// CLONE_NEWNET -> "net": the file name under /proc/<pid>/ns.
std::string_view NamespaceFile(std::uint64_t flag);

struct CloneArgs {
  std::uint64_t flags = 0;  // CLONE_NEW*, CLONE_PARENT; CLONE_PIDFD is added when `pidfd` is set
  int cgroup_fd = -1;       // adds CLONE_INTO_CGROUP
  int* pidfd = nullptr;
};
// As fork(2): 0 in the child. Callers are single-threaded, or the child only calls
// async-signal-safe functions. exit_signal is SIGCHLD, or inherited with CLONE_PARENT.
Result<pid_t> clone3(const CloneArgs& args);

// Opens a namespace file and checks its type (NS_GET_NSTYPE): a wrong one is kInvalidConfig.
Result<UniqueFd> OpenNamespace(const std::string& path, std::uint64_t flag);
Status setns(int fd, std::uint64_t flag);
Status unshare(std::uint64_t flags);

}  // namespace coracle::sys
