// The mounts of config.json: config.md#mounts, on descriptors only: detached mounts, finished
// before anyone can see them, then attached in the root. By the container process, in the listed
// order, so that mountinfo, which the kernel sorts by age, shows that order, too.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"
#include "mount_options.h"

namespace coracle::runtime {

struct MountPlan {
  std::string pointer;  // "/mounts/3"
  std::string type, source;
  std::string destination;  // absolute, lexically clean
  MountOptions options;
  std::vector<oci::IdMapping> uid_mappings, gid_mappings;  // of an idmapped mount
  std::string user_namespace;  // idmap without mappings in a joined user namespace: its path
};

struct MountsPlan {
  std::vector<MountPlan> mounts;
  std::string label;              // linux.mountLabel
  unsigned long propagation = 0;  // what a bind without a propagation option gets
  bool user_namespace = false;    // new or joined
  // Whether the container has a new one, which the file system then shows.
  bool new_pid = false, new_network = false, new_ipc = false, new_cgroup = false;
  bool dev_is_bind = false;  // /dev comes from the host: nothing is created in it
};

// `bundle` is absolute; relative bind sources are relative to it.
Result<MountsPlan> PlanMounts(const oci::Spec& spec, const std::string& bundle);

// One bind mount as a detached tree: id-mapped where asked, with its final attributes.
Result<UniqueFd> OpenBindSource(const MountsPlan& plan, const MountPlan& mount);

enum class Sources : std::uint8_t { kPrivileged, kAll };
// Parent, before clone: the sources of binds, which the container process inherits; empty at the
// index of other mounts. kPrivileged: only those that need the host's privileges, because the
// container process is in a user namespace or ids are to be mapped. kAll: where the container
// process will not have the host's mounts.
Result<std::vector<UniqueFd>> OpenMountSources(const MountsPlan& plan, Sources which);

// Attributes and propagation by mount_setattr(2), best while the mount is still detached.
Status SetMountAttributes(const MountOptions& options, int mount_fd);

// Container process, after AttachRoot: all mounts, in order. `cgroup` is the container's own
// directory in the host's cgroup2 mount (what a cgroup mount shows without own cgroup namespace).
Status AttachMounts(const MountsPlan& plan, const std::vector<UniqueFd>& sources, int root_fd,
                    const std::string& cgroup);

}  // namespace coracle::runtime
