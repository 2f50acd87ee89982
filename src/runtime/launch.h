// What create, start and exec have in common around their process, on the runtime's side.
#pragma once

#include <optional>
#include <string>

#include "config.h"
#include "coracle/base/unique_fd.h"
#include "coracle/runtime/container.h"
#include "plan.h"
#include "state_file.h"

namespace coracle::runtime {

// How many descriptors from 3 on were passed to us by socket activation: sd_listen_fds(3).
int ListenFds();
// That all descriptors which belong to the program are open: those, then preserve_fds more.
Status CheckKeptFds(const ProcessIo& io, int listen_fds);

// The connection for the pty master; empty without a terminal.
Result<UniqueFd> ConnectConsoleOf(const ProcessIo& io, const ProgramPlan* program);

// Puts a process into the container's groups of linux.intelRdt, if it has such.
Status JoinRdtOf(const StateFile& state, pid_t pid);

// Nothing without a path.
Status WritePidFile(const std::string& path, pid_t pid);

// Nothing without a path. `kind` as runc's receivers know it: "standard" or "setns".
Status SendPidfd(const std::string& path, const char* kind, int pidfd);

// `plan` is of config.spec, and empty where the cache has the filter.
Result<std::optional<SeccompProgram>> CompileFilter(const Runtime& runtime, const Config& config,
                                                    const std::optional<SeccompPlan>& plan);

// Reads from the conversation until the program of `pid` runs. A seccomp listener is handed to its
// agent, with `state`.
Status FinishExecve(int socket, const StatePaths& paths, const oci::State& state, pid_t pid);

}  // namespace coracle::runtime
