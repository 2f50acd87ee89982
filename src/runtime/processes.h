// The processes of a container, with or without a cgroup that lists them.
#pragma once

#include <sys/types.h>

#include <vector>

#include "coracle/base/result.h"
#include "state_file.h"

namespace coracle::runtime {

// Those of its cgroup, or of its PID namespace and those below. A container that has neither of its
// own does not know its processes: kUnsupported.
Result<std::vector<pid_t>> ProcessesOf(const StateFile& file);

Status SignalProcesses(const StateFile& file, int signal);

}  // namespace coracle::runtime
