// linux.uidMappings and linux.gidMappings: config-linux.md#user-namespace-mappings,
// user_namespaces(7).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct IdMapsPlan {
  std::vector<oci::IdMapping> uids, gids;  // empty: no new user namespace
};

Result<IdMapsPlan> PlanIdMaps(const oci::Spec& spec);

// Parent: /proc/<pid>/uid_map and gid_map; by newuidmap(1) and newgidmap(1) where we may map only
// ourselves. Without privileges the process must be dumpable: else its files are root's.
Status WriteIdMaps(const IdMapsPlan& plan, pid_t pid);

// Whether they map nothing but `id`: what everybody may do.
bool IsOwnIdOnly(const std::vector<oci::IdMapping>& mappings, std::uint32_t id);

// The id outside that `id` in the container is; none when it is not mapped.
std::optional<std::uint32_t> HostId(const std::vector<oci::IdMapping>& mappings, std::uint32_t id);

}  // namespace coracle::runtime
