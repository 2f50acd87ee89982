// CRI's resource limits <-> linux.resources of config.json. Pure.
#pragma once

#include <string>

#include "api.h"
#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::cri {

// `where` is the JSON pointer of `limits` in the request. 0 and "" mean: not limited.
Result<oci::Resources> MakeResources(const v1::LinuxContainerResources& limits,
                                     const std::string& where);

// What an update leaves in force: fields that `update` sets win, the others stay.
v1::LinuxContainerResources MergeResources(const v1::LinuxContainerResources& current,
                                           const v1::LinuxContainerResources& update);

// cgroup_parent of a pod, as a path below the cgroup2 mount. A systemd slice ("a-b.slice") becomes
// the path that systemd gives it ("/a.slice/a-b.slice"). Empty: a cgroup of the pod's own.
Result<std::string> PodCgroup(const std::string& cgroup_parent, const std::string& sandbox_id);

}  // namespace coracle::cri
