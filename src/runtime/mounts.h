// The mounts of config.json: config.md#mounts, on descriptors only: detached mounts, finished
// before anyone can see them, then attached in the root. By the container process, in the listed
// order, so that mountinfo, which the kernel sorts by age, shows that order, too.
#pragma once

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

// Parent, before clone: the sources of those binds that need the host's privileges, because the
// container process is in a user namespace or ids are to be mapped; empty at the index of the
// others. The container process inherits them.
Result<std::vector<UniqueFd>> OpenMountSources(const MountsPlan& plan);

// Attributes and propagation by mount_setattr(2), best while the mount is still detached.
Status SetMountAttributes(const MountOptions& options, int mount_fd);

// Whether one of them can be made in its place only: by mount(2), or as the directory is that it
// covers.
bool HasOneMadeInPlace(const MountsPlan& plan);

// Container process, still among the host's mounts: all that `trees` lacks, detached, in order.
// `cgroup` is the container's own directory in the host's cgroup2 mount (what a cgroup mount shows
// without own cgroup namespace).
Status PrepareMounts(const MountsPlan& plan, const std::string& cgroup,
                     std::vector<UniqueFd>& trees);

// Container process, after AttachRoot: all mounts, in order; of `trees` if they are there.
Status AttachMounts(const MountsPlan& plan, const std::vector<UniqueFd>& trees, int root_fd,
                    const std::string& cgroup);

}  // namespace coracle::runtime
