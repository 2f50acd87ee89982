// The one clone3(2) of create and of exec: a process in its new namespaces and in its cgroup.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <span>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "namespaces.h"

namespace coracle::runtime {

struct CloneRequest {
  const NamespacesPlan& namespaces;
  std::span<const OpenedNamespace> opened;
  int cgroup_fd = -1;
  bool child_of_parent = false;     // CLONE_PARENT
  std::uint64_t left_to_child = 0;  // new namespaces that it makes itself
  // We are nobody outside of the new user namespace: its maps can be written only while the child
  // is dumpable, which it has to end, and all namespaces have to come at once.
  bool unprivileged = false;
  // exec: how the joiner gets into everything that the container has, instead of `opened`.
  std::function<Status()> join = {};
};

struct ClonedProcess {
  pid_t pid = -1;  // as we see it
  UniqueFd pidfd;
  bool is_our_child = false;
};

// `child` runs in the new process and never returns: the objects that clone(2) copied there belong
// to us, and must not be destroyed twice.
Result<ClonedProcess> CloneProcess(const CloneRequest& request, const std::function<void()>& child);

// SIGKILL, and wait until it is dead; reaped only where that is ours to do.
void KillClonedProcess(ClonedProcess& process) noexcept;

}  // namespace coracle::runtime
