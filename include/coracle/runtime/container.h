// The OCI runtime as a library: the verbs of runtime.md#operations and of runc's command line.
//
// Single-threaded by contract: a program that has threads calls these from a forked child (the
// shim does). Every verb takes the container's lock, and leaves nothing behind when it fails.
// Errors that callers of runc match keep runc's words ("container does not exist", "container not
// running", "executable file not found in $PATH"): see docs/ARCHITECTURE.md.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/step.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"
#include "coracle/oci/state.h"

namespace coracle::runtime {

// Whether to go on without what only root of the machine may do, and nobody asked for.
enum class Rootless : std::uint8_t { kAuto, kYes, kNo };

// Who makes the container's cgroup: we by mkdir(2), systemd as a scope, or nobody.
enum class CgroupManager : std::uint8_t { kCgroupfs, kSystemd, kDisabled };

// Where states live: one directory per container, 0700.
struct Runtime {
  std::string root = "/run/coracle/runtime";
  Rootless rootless = Rootless::kAuto;
  CgroupManager cgroup_manager = CgroupManager::kCgroupfs;
  // A limit whose controller this host lacks: an error, or (the daemon's choice) a warning.
  bool ignore_missing_controllers = false;
  StepObserver observer = {};
  // Warnings for a person, one line each (e.g. a capability that cannot be granted).
  std::function<void(const std::string&)> warn = {};
};

// The root for a caller who names none: for users $XDG_RUNTIME_DIR/coracle.
std::string DefaultRoot(Rootless rootless);

// For callers that speak only runc's command line or containerd's shim protocol, and so have no
// other place for it: CORACLE_IGNORE_MISSING_CONTROLLERS=1 in the environment.
bool IgnoreMissingControllersByEnvironment();

struct ProcessIo {
  std::array<int, 3> stdio = {0, 1, 2};  // what becomes the process's 0, 1, 2 (no terminal)
  std::string console_socket;            // unix socket that gets the pty master (terminal)
  int console_fd = -1;                   // instead: one that is connected already; not closed
  int preserve_fds = 0;                  // 3 .. 3+n-1 stay open, after LISTEN_FDS
};

struct CreateOptions {
  std::string id;
  std::string bundle;       // directory of config.json
  std::string config_file;  // instead of <bundle>/config.json
  std::string pid_file;
  std::string pidfd_socket;  // unix socket that gets a pidfd of the container process
  // The caller's NOTIFY_SOCKET: then the container has /run/notify/notify.sock for sd_notify(3),
  // in the directory NotifyDirectory() of its state, where a later verb listens.
  bool notify = false;
  ProcessIo io;
  bool no_pivot = false;
  bool no_new_keyring = false;
  // The container becomes a child of our parent (CLONE_PARENT): for a short-lived creator whose
  // parent supervises. Otherwise it is our child.
  bool child_of_parent = false;
};

// runtime.md#create. The container process exists and waits; state is `created`.
Result<oci::State> Create(const Runtime& runtime, const CreateOptions& options);

// The host's side of /run/notify; made by `create` with `notify`.
std::string NotifyDirectory(const Runtime& runtime, const std::string& id);

// runtime.md#start. Returns when execve(2) of the user's program has succeeded, or with the error
// that ended the container process.
Status Start(const Runtime& runtime, const std::string& id);

// Both, by one process, which the container then need not wait for as it would for a stranger.
// `before_start` is called in between. Whatever fails: the container is gone again.
Result<pid_t> Run(const Runtime& runtime, const CreateOptions& options,
                  const std::function<Status(const oci::State&)>& before_start);

// Facts first, state derived: is the process of that pid and start time alive, has it started,
// is its cgroup frozen.
Result<oci::State> State(const Runtime& runtime, const std::string& id);
Result<std::vector<oci::State>> List(const Runtime& runtime);
// When `create` was called, nanoseconds since 1970, and by whom.
struct Created {
  std::uint64_t at_unix_ns = 0;
  uid_t owner_uid = 0;
};
Result<Created> CreatedAt(const Runtime& runtime, const std::string& id);

// runtime.md#kill. `all`: every process of the cgroup, also after the first one's death.
Status Kill(const Runtime& runtime, const std::string& id, int signal, bool all = false);

// runtime.md#delete. `force` kills first, and takes an unknown id for success.
Status Delete(const Runtime& runtime, const std::string& id, bool force = false);

struct ExecOptions {
  std::string id;
  oci::Process process;
  ProcessIo io;
  std::string pid_file;
  std::string pidfd_socket;
  bool ignore_paused = false;
  std::string cgroup;  // below the container's own
  bool child_of_parent = false;
};
// Returns the pid (as seen by the caller) once execve(2) has succeeded.
Result<pid_t> Exec(const Runtime& runtime, const ExecOptions& options);

Status Pause(const Runtime& runtime, const std::string& id);
Status Resume(const Runtime& runtime, const std::string& id);
Status Update(const Runtime& runtime, const std::string& id, const oci::Resources& resources);
// Lines for the schemata file of a container that was created with linux.intelRdt.
Status UpdateRdt(const Runtime& runtime, const std::string& id,
                 const std::vector<std::string>& schemata);

// All processes of the container, as seen by the caller: those of its cgroup and below it, or,
// when it has none, of its PID namespace.
Result<std::vector<pid_t>> Pids(const Runtime& runtime, const std::string& id);

// Absolute path of the container's cgroup v2 directory; empty when it has none of its own.
Result<std::string> CgroupPath(const Runtime& runtime, const std::string& id);
// The process of config.json, as given to create: exec starts from it.
Result<oci::Process> ContainerProcess(const Runtime& runtime, const std::string& id);

// features.md: what is true of this program on this host.
Json Features();

// One row of a step table, for `explain`, for docs/CONTAINER_SETUP.md and for tests.
struct StepInfo {
  std::string_view table;  // "create", "container", "exec", ...
  std::string_view name, calls, spec, why, undone;
};
std::vector<StepInfo> AllSteps();

// What a bundle makes of each step of `create` and `start`, in order. Touches nothing.
struct ExplainedStep {
  StepInfo step;
  std::string detail;  // empty: `why` says all
  bool idle = false;   // this bundle gives it nothing to do
};
struct Explanation {
  std::vector<ExplainedStep> steps;
  std::vector<std::string> ignored;  // JSON pointers of the properties that nobody knows
  std::vector<std::string> warnings;
};
Result<Explanation> Explain(const Runtime& runtime, const std::string& bundle);

}  // namespace coracle::runtime
