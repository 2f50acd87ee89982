// What the runtime remembers of a container, in <root>/<id>/:
//
//   state.json   facts, compact, replaced whole; written before anything else exists
//   config.json  the configuration as it was at create (runtime.md#create), for exec and hooks
//   start.sock   the container process listens here until it is started
//   notify/      /run/notify of a container whose creator had a NOTIFY_SOCKET
//
// The directory itself is the lock (flock(2)).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "coracle/base/file.h"
#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"
#include "coracle/oci/state.h"

namespace coracle::runtime {

struct StateFile {
  std::string oci_version, id, bundle;
  oci::Annotations annotations;
  pid_t pid = 0;                  // 0: creation has not come that far
  std::uint64_t start_ticks = 0;  // with the pid, names the container process for good
  std::uint64_t created_unix_ns = 0;
  uid_t owner_uid = 0;
  std::string cgroup;                       // absolute; empty: the container has none of its own
  std::vector<std::string> cgroup_created;  // directories made for it, outermost first
  // linux.intelRdt: where resctrl is; groups of its processes; those to remove at the end.
  std::string rdt_mount;
  std::vector<std::string> rdt_places, rdt_deleted;
  std::string systemd_unit;        // that made the cgroup; empty: we did
  bool user_manager = false;       // the unit is of the user's systemd
  bool own_pid_namespace = false;  // else the first process's death ends no other
  bool has_process = false;
  bool has_poststart = false, has_poststop = false;  // worth reading config.json for
};

// The paths of one container.
struct StatePaths {
  std::string directory, state, config, start_socket;
};
StatePaths PathsOf(const std::string& root, const std::string& id);

Status WriteStateFile(const StatePaths& paths, const StateFile& state);
// kNotFound "container does not exist" when there is none.
// In two steps: what is written can wait for its moment.
Result<PendingFile> WriteStateAside(const StatePaths& paths, const StateFile& state);
Result<StateFile> ReadStateFile(const StatePaths& paths);
Result<oci::Spec> ReadConfigCopy(const StatePaths& paths);

// The container's lock, waited for a bounded time. kNotFound when there is no such directory.
Result<UniqueFd> LockState(const StatePaths& paths);

// Facts to status: whether the process of that pid and start time lives, whether start.sock is
// still there, whether the cgroup is frozen.
oci::ContainerStatus DeriveStatus(const StatePaths& paths, const StateFile& state);
bool IsAlive(const StateFile& state);

// As the specification prints it; pid 0 once stopped.
oci::State ToOciState(const StateFile& state, oci::ContainerStatus status);

}  // namespace coracle::runtime
