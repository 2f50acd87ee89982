// Small conversations with a shim that several RPCs need.
#pragma once

#include <memory>
#include <string>

#include "daemon.h"

namespace coracle::cri {

inline constexpr std::chrono::seconds kShimTimeout{30};  // one answer of a shim

// Waits for the end of a task's process. ETIME when the deadline passes first.
Result<shim::ExitStatus> WaitForExit(shim::Client& client, const std::string& id,
                                     const std::string& exec_id, SteadyTime deadline);

// Ends a task for good, and its shim: kill, wait, delete, shut down. Without a client, or with one
// that does not manage, the shim's processes are killed, and `<shim> delete` takes away the rest.
// Nothing there is success (with an exit status of 0 at time 0).
Result<shim::ExitStatus> EndTask(Daemon& daemon, const std::string& id, const std::string& bundle,
                                 const std::shared_ptr<shim::Client>& client);

// rmdir(2) below the cgroup2 mount; one that is gone is success.
Status RemoveCgroupDirectory(const Daemon& daemon, const std::string& cgroups_path);

}  // namespace coracle::cri
