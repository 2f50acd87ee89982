// What the container process, or an exec process, does to itself before it becomes the user's
// program. Two tables in a row: how it gets into its container, and how it becomes the program.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coracle/base/step.h"
#include "coracle/base/unique_fd.h"
#include "coracle/runtime/container.h"
#include "plan.h"
#include "state_file.h"
#include "sync.h"
#include "trace_memory.h"

namespace coracle::runtime {

// What the runtime prepares before clone3(2), for the process to inherit.
struct ProcessSetup {
  const StateFile& state;  // for hooks
  const NamespacesPlan& namespaces;
  const ProgramPlan* program = nullptr;  // null: config.json has no process
  const SeccompProgram* seccomp = nullptr;
  const oci::Hooks* hooks = nullptr;  // null: exec
  const ProcessIo& io;
  const StepObserver& observer;
  int listener = -1;   // start.sock
  int console = -1;    // connection that wants the pty master
  int kept_fds = 0;    // 3 .. 3+n-1 belong to the program
  int listen_fds = 0;  // how many of them by LISTEN_FDS
  bool new_keyring = true;
  const TraceMemory* trace = nullptr;
};

// State of the process itself, on its side.
struct NewProcess {
  const ProcessSetup& setup;
  const Plan* plan = nullptr;  // create
  int kernel_mounts = -1;      // create: what the new mount namespace is copied from
  UniqueFd devtmpfs = {};      // create: the root of that copy
  int root_fd = -1;            // create: the cloned root
  std::vector<UniqueFd>* mount_sources = nullptr;
  UniqueFd own_root = {};  // create without root: what the runtime could not open
  std::vector<UniqueFd> own_mount_sources = {};
  std::span<const OpenedNamespace> namespaces = {};  // create: to join
  std::string cgroup = {};
  bool no_pivot = false;
  int target_pidfd = -1;  // exec: whose namespaces to join
  std::uint64_t target_namespaces = 0;
  int target_root = -1;  // exec: its root, where the container has no mount namespace

  ProcessPlan process = {};  // HOME and LISTEN_PID are known only here
  std::string executable = {};
  UniqueFd proc = {};
  bool enter_as_user = false;
  bool awaits_go = false;  // run, exec: the runtime has not said kCreated yet
  int conversation = -1;   // where a failure is told: sync, later the connection of `start`
};

// Of these steps: the injected faults, and the trace.
StepObserver ObserverOf(const ProcessSetup& setup);

std::span<const Step<NewProcess>> ContainerSteps();  // create: into the container
std::span<const Step<NewProcess>> EnterSteps();      // exec: into an existing one
std::span<const Step<NewProcess>> ProgramSteps();    // both: become the program

// The life of the process. Each ends in execve(2), or in a told failure.
[[noreturn]] void RunContainerProcess(NewProcess process) noexcept;
// exec: the first of EnterSteps(), by the joiner: the process that is then cloned is born in the
// container's PID namespace without anything of the host that others in there could get at.
Status JoinContainer(NewProcess& process);
[[noreturn]] void RunExecProcess(NewProcess process) noexcept;

// Steps that both tables have.
Status BecomeNamespaceRoot(NewProcess& process);
Status StartSession(NewProcess& process);
Status ApplyAttributes(NewProcess& process);
Status CloseDescriptors(NewProcess& process);
Status FindProgram(NewProcess& process);
// The terminal of `root_fd`, or the given descriptors, as 0 to 2.
Status ConnectStdio(NewProcess& process, int root_fd, bool attach_console);

}  // namespace coracle::runtime
