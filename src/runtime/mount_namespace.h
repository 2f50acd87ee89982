// What a new mount namespace is copied from: mount_namespaces(7). The kernel copies every mount of
// the namespace that the caller is in, and the container then throws them all away; with a thousand
// of them that is half the time of a start. The kernel's thread kdevtmpfs lives in a namespace of
// one devtmpfs, which serves as well, wherever the runtime can see it.
#pragma once

#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "plan.h"

namespace coracle::runtime {

// Whether the host's mounts must be in the container process's namespace until its root changes:
// for a user namespace, hooks that mount there, a root that shares its mounts, mounts that are made
// in their places, or more of them than there are descriptors for.
bool NeedsHostMounts(const Plan& plan);

// kdevtmpfs's mount namespace; none in a PID namespace without kernel threads, or without the right
// to look at them. Which thread it is stands in `directory` from the first search on.
UniqueFd OpenKernelMountNamespace(const std::string& directory);

// Container process: a new mount namespace, private, as a copy of `source`. Answers with the root
// of the copy, a devtmpfs; "/" and paths below it stay the host's, although none of its mounts is
// here. Without the right to enter `source` the new one is a copy of ours, and the answer is empty.
Result<UniqueFd> CopyMountNamespace(int source);

}  // namespace coracle::runtime
