// How containers end: noticed, killed, cleaned up, removed.
#pragma once

#include <memory>

#include "coracle/base/result.h"
#include "daemon.h"

namespace coracle::cri {

// Asks the shim to tell of the exit; what follows is handled on the daemon's own threads.
void WatchContainer(Daemon& daemon, const Container& container);

// Records how it ended, tells of it, then lets go of the shim. Only the first call counts.
void RecordExit(Daemon& daemon, Container& container, const shim::ExitStatus& status);

// Ends the shim and what it made (mounts, cgroup, sockets). Only the first success counts.
Status CleanUpContainer(Daemon& daemon, Container& container);

// SIGKILL to all its processes, waits for the end. An exited one: nothing.
Status KillContainer(Daemon& daemon, Container& container);

// Kills, cleans up, removes every trace. Removed already: nothing. Takes the container's turn.
Status RemoveOneContainer(Daemon& daemon, Container& container);

// What a crash left of a container on this host, by its record: shim, snapshot, files, the record.
Status DestroyContainer(Daemon& daemon, const ContainerRecord& record);

// Containers and image mounts of other owners may be in the same image store.
std::string SnapshotKey(const std::string& container_id);

}  // namespace coracle::cri
