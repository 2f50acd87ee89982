// exec: a further process in a running container, which joins all that the first one has.
#include "exec.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coracle/base/file.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/sys/namespaces.h"
#include "coracle/sys/path.h"
#include "coracle/sys/process.h"
#include "coracle/sys/socket.h"
#include "executable.h"
#include "launch.h"
#include "loaded.h"
#include "sync.h"
#include "systemd_manager.h"

namespace coracle::runtime {
namespace {

bool SharesOur(const std::string& name, pid_t pid) {
  struct stat theirs {};
  struct stat ours {};
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + name;
  return ::stat(path.c_str(), &theirs) == 0 &&
         ::stat(("/proc/self/ns/" + name).c_str(), &ours) == 0 && theirs.st_ino == ours.st_ino &&
         theirs.st_dev == ours.st_dev;
}

// Of the container process; but our own user namespace cannot be entered again (EINVAL), and to
// enter our own mount namespace would mean to leave the container's root.
std::uint64_t NamespacesToJoin(const oci::Spec& spec, pid_t pid) {
  std::uint64_t flags = 0;
  for (const oci::Namespace& each : spec.linux_.namespaces) flags |= sys::NamespaceFlag(each.type);
  if (SharesOur("user", pid)) flags &= ~std::uint64_t{CLONE_NEWUSER};
  if (SharesOur("mnt", pid)) flags &= ~std::uint64_t{CLONE_NEWNS};
  return flags;
}

// Then the container's user namespace, which we own, has to come before all others.
bool IsUnprivilegedOutside(const Execution& execution) {
  return (execution.target_namespaces & CLONE_NEWUSER) != 0 && ::geteuid() != 0;
}

Status CheckRunning(const Execution& execution) {
  switch (DeriveStatus(execution.paths, execution.state)) {
    case oci::ContainerStatus::kCreated:
    case oci::ContainerStatus::kRunning:
      return {};
    case oci::ContainerStatus::kPaused:
      if (execution.options.ignore_paused) return {};
      return Error{Code::kWrongState, 0,
                   "cannot exec in a paused container (use --ignore-paused to override)"};
    case oci::ContainerStatus::kStopped:
      return Error{Code::kWrongState, 0,
                   "cannot exec in a stopped container: container not running"};
    case oci::ContainerStatus::kCreating:
      break;
  }
  return Error{Code::kWrongState, 0, "cannot exec in a container that is being created"};
}

Status OpenContainer(Execution& execution) {
  TRY(CheckRunning(execution));
  execution.target = TRY(OpenContainerProcess(execution.state));
  execution.config = TRY(ParseConfig(execution.runtime, TRY(ReadFile(execution.paths.config)),
                                     execution.paths.config));
  const oci::Spec& spec = execution.config.spec;
  execution.namespaces = TRY(PlanNamespaces(spec));
  execution.target_namespaces = NamespacesToJoin(spec, execution.state.pid);
  if ((execution.target_namespaces & CLONE_NEWNS) == 0)
    execution.target_root =
        TRY(sys::OpenRoot("/proc/" + std::to_string(execution.state.pid) + "/root"));
  execution.program = TRY(PlanProgram(spec, execution.options.process, "", execution.runtime.warn));
  return {};
}

Status Compile(Execution& execution) {
  execution.seccomp = TRY(
      CompileFilter(execution.runtime, execution.config, TRY(PlanSeccomp(execution.config.spec))));
  return {};
}

Status OpenParts(Execution& execution) {
  execution.console = TRY(ConnectConsoleOf(execution.options.io, &execution.program));
  if (execution.state.user_manager) TRY(EnterUserManager(execution.state.cgroup));
  if (!execution.state.cgroup.empty())
    execution.cgroup = TRY(OpenCgroup(execution.state.cgroup, execution.options.cgroup));
  else if (!execution.options.cgroup.empty())
    return NoCgroup("a cgroup below it");
  return {};
}

// cgroups(7): one that gives controllers to its children has no process of its own. A container
// that manages cgroups, as systemd does, has moved out of the way: we go where its first one is.
Result<UniqueFd> OpenCgroupOfInit(const StateFile& state) {
  const std::string path = TRY(CgroupMount()) + TRY(CgroupOfProcess(state.pid));
  if (path.starts_with(state.cgroup + "/")) return OpenCgroup(path);
  return Error{Code::kWrongState, EBUSY,
               state.cgroup + " takes no processes, and the container's first one is in " + path};
}

Result<ClonedProcess> OrBesideInit(Execution& execution,
                                   const std::function<Result<ClonedProcess>()>& clone) {
  Result<ClonedProcess> cloned = clone();
  const bool busy = !cloned.has_value() && cloned.error().errnum == EBUSY;
  if (!busy || !execution.options.cgroup.empty()) return cloned;
  execution.cgroup = TRY(OpenCgroupOfInit(execution.state));
  return clone();
}

Status Clone(Execution& execution) {
  auto [ours, theirs] = TRY(sys::SeqpacketPair());
  const ProcessSetup setup{
      .state = execution.state,
      .namespaces = execution.namespaces,
      .program = &execution.program,
      .seccomp = execution.seccomp ? &*execution.seccomp : nullptr,
      .io = execution.options.io,
      .observer = execution.runtime.observer,
      .console = execution.console.get(),
      .kept_fds = execution.listen_fds + execution.options.io.preserve_fds,
      .listen_fds = execution.listen_fds,
      .trace = execution.trace ? &*execution.trace : nullptr,
  };
  NewProcess process{.setup = setup,
                     .target_pidfd = execution.target.get(),
                     .target_namespaces = execution.target_namespaces,
                     .target_root = execution.target_root.get(),
                     .process = execution.program.process,
                     .conversation = theirs.get()};
  // Inherited: the file of a process that is not dumpable is root's.
  if (IsUnprivilegedOutside(execution))
    TRY(SetOomScoreAdj(execution.runtime, execution.program.process, ::getpid()));
  const auto join = [&, &runtimes_end = ours] {
    runtimes_end.reset();
    return JoinContainer(process);
  };
  const auto clone = [&] {
    return CloneProcess({.namespaces = {},
                         .opened = {},
                         .cgroup_fd = execution.cgroup.get(),
                         .child_of_parent = execution.options.child_of_parent,
                         .join = join},
                        [&] { RunExecProcess(std::move(process)); });
  };
  execution.process = TRY(OrBesideInit(execution, clone));
  execution.sync = std::move(ours);
  execution.console.reset();
  return {};
}
void Kill(Execution& execution) noexcept {
  execution.sync.reset();
  KillClonedProcess(execution.process);
}

Status SetOomScore(Execution& execution) {
  if (execution.program.process.oom_score_adj && ::geteuid() != 0) return {};  // before clone3(2)
  Status set = SetOomScoreAdj(execution.runtime, execution.program.process, execution.process.pid);
  return set.has_value() ? set : Status(LastWordOf(execution.sync.get(), set.error()));
}

Status JoinRdt(Execution& execution) { return JoinRdtOf(execution.state, execution.process.pid); }

Status WritePid(Execution& execution) {
  TRY(SendPidfd(execution.options.pidfd_socket, "setns", execution.process.pidfd.get()));
  return WritePidFile(execution.options.pid_file, execution.process.pid);
}
void RemovePid(Execution& execution) noexcept {
  if (!execution.options.pid_file.empty()) ::unlink(execution.options.pid_file.c_str());
}

Status AwaitProgram(Execution& execution) {
  const Status go = SendSync(execution.sync.get(), SyncKind::kCreated);
  if (!go.has_value()) return LastWordOf(execution.sync.get(), go.error());
  return FinishExecve(execution.sync.get(), execution.paths,
                      ToOciState(execution.state, oci::ContainerStatus::kRunning),
                      execution.process.pid);
}

constexpr Step<Execution> kExecSteps[] = {
    {"open-container", "pidfd_open(2)", "runtime.md#state",
     "Its process by descriptor, so that no other with its number is entered.", OpenContainer},
    {"compile-seccomp", "-", "config-linux.md#seccomp",
     "The container's profile; the cache has it since `create`.", Compile},
    {"open-parts", "connect(2), open(2)", "-",
     "The console socket and the cgroup, with the host's eyes and rights.", OpenParts},
    {"clone-process", "setns(2), clone3(2)", "config-linux.md#namespaces",
     "Twice: who enters the namespaces, and then, born in all of them and in the cgroup, the "
     "process.",
     Clone, Kill, "SIGKILL, and waits for the death"},
    {"set-oom-score", "write(2)", "config.md#linux-process",
     "From outside: in a user namespace the process could not lower it.", SetOomScore},
    {"join-rdt-group", "write(2)", "config-linux.md#intelrdt",
     "It is our child, and so not born in the container's group.", JoinRdt},
    {"write-pid-file", "sendmsg(2), open(2), write(2), rename(2)", "-",
     "Supervisors read it as soon as `exec` returns.", WritePid, RemovePid, "removes it"},
    {"await-program", "sendmsg(2), recvmsg(2)", "runtime.md#start",
     "execve(2) has worked, or the Error of the process is ours.", AwaitProgram},
};

Result<pid_t> ExecUnnamed(const Runtime& runtime, const ExecOptions& options) {
  Loaded loaded = TRY(Load(runtime, options.id));
  Execution execution{.runtime = runtime,
                      .options = options,
                      .paths = std::move(loaded.paths),
                      .listen_fds = ListenFds(),
                      .state = std::move(loaded.file)};
  TRY(CheckKeptFds(options.io, execution.listen_fds));
  if (runtime.observer.done) execution.trace.emplace(TRY(TraceMemory::Make()));
  const Status executed = RunSteps(ExecSteps(), execution, runtime.observer);
  if (execution.trace) execution.trace->Report("exec", runtime.observer);
  if (!executed.has_value()) return executed.error();
  return execution.process.pid;
}

}  // namespace

std::span<const Step<Execution>> ExecSteps() { return kExecSteps; }

Result<pid_t> Exec(const Runtime& runtime, const ExecOptions& options) {
  return Named("exec in", options.id, ExecUnnamed(runtime, options));
}

}  // namespace coracle::runtime
