// What the runtime does to create a container, in order, each step beside its undo.
#include "create.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>

#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/sys/namespaces.h"
#include "coracle/sys/process.h"
#include "coracle/sys/socket.h"
#include "hooks.h"
#include "launch.h"
#include "loaded.h"
#include "mount_namespace.h"
#include "rootless.h"
#include "sync.h"
#include "systemd_manager.h"

namespace coracle::runtime {
namespace {

Status TakeId(Creation& creation) {
  const char* path = creation.paths.directory.c_str();
  int made = ::mkdir(path, 0700);
  if (made != 0 && errno == ENOENT) {
    TRY(MakeDirectories(creation.runtime.root, 0711));
    made = ::mkdir(path, 0700);
  }
  if (made != 0 && errno == EEXIST)
    return Error{Code::kAlreadyExists, EEXIST, "container with given ID already exists"};
  if (made != 0) return KernelError("mkdir(2) path=" + creation.paths.directory);
  Result<UniqueFd> lock = LockState(creation.paths);
  if (!lock.has_value()) {
    ::rmdir(path);
    return lock.error();
  }
  creation.lock = std::move(*lock);
  return {};
}
void ReleaseId(Creation& creation) noexcept { (void)RemoveTree(creation.paths.directory); }

Status RecordIntent(Creation& creation) {
  if (creation.options.notify)
    TRY(MakeDirectories(NotifyDirectory(creation.runtime, creation.plan.id)));
  return WriteStateFile(creation.paths, creation.state);
}

// Who may make no cgroup, and asked for nothing that needs one, gets a container in the caller's.
Status GoOnWithoutCgroup(Creation& creation, Error error) {
  if (!IsRefused(error) || !IsRootless(creation.runtime)) return error;
  if (creation.plan.cgroup.asked_for)
    return Within("without permission for cgroups, cgroupsPath and resources must be left out",
                  std::move(error));
  creation.state.cgroup.clear();
  return {};
}

Status MakeContainerCgroup(Creation& creation) {
  if (creation.plan.cgroup.Directory().empty() && !creation.plan.cgroup.unit) return {};
  const CgroupPlan& plan = creation.plan.cgroup;
  Result<Cgroup> made = plan.unit ? StartScope(plan) : MakeCgroup(plan);
  if (!made.has_value()) return GoOnWithoutCgroup(creation, std::move(made).error());
  creation.cgroup = std::move(*made);
  creation.state.cgroup_created = creation.cgroup.created;
  if (creation.state.cgroup == creation.cgroup.path) return {};
  creation.state.cgroup = creation.cgroup.path;  // where the user's systemd has put it
  return WriteStateFile(creation.paths, creation.state);
}
void RemoveContainerCgroup(Creation& creation) noexcept {
  if (creation.cgroup.path.empty()) return;
  creation.cgroup.placeholder.End();
  (void)SignalCgroup(creation.cgroup.path, SIGKILL);
  if (creation.plan.cgroup.unit) (void)StopUnit(*creation.plan.cgroup.unit);
  (void)RemoveCgroup(creation.cgroup.path);
  UndoMakeCgroup(creation.cgroup.created);
}

Status MakeRdt(Creation& creation) {
  if (!creation.plan.rdt) return {};
  const UniqueFd resctrl = TRY(OpenRdt(creation.plan.rdt->mount));
  TRY(MakeRdtGroups(resctrl.get(), *creation.plan.rdt, creation.rdt_made));
  return WriteRdtSchemata(resctrl.get(), creation.plan.rdt->group, creation.plan.rdt->schemata);
}
void RemoveRdt(Creation& creation) noexcept {
  if (creation.rdt_made.empty()) return;
  const auto resctrl = OpenRdt(creation.plan.rdt->mount);
  if (resctrl.has_value()) (void)RemoveRdtGroups(resctrl->get(), creation.rdt_made);
}

Status Compile(Creation& creation) {
  creation.seccomp = TRY(CompileFilter(creation.runtime, creation.config, creation.plan.seccomp));
  return {};
}

Status OpenSources(Creation& creation) {
  creation.namespaces = TRY(OpenNamespaces(creation.plan.namespaces));
  Result<UniqueFd> root = CloneRoot(creation.plan.rootfs);
  // We have no privilege over our mount namespace: open-own-sources does it in the container's.
  if (!root.has_value()) return root.error().errnum == EPERM ? Status() : Status(root.error());
  creation.root = std::move(*root);
  if (!creation.options.no_pivot && !NeedsHostMounts(creation.plan))
    creation.kernel_mounts = OpenKernelMountNamespace(creation.runtime.root);
  creation.mount_sources = TRY(OpenMountSources(creation.plan.mounts));
  return {};
}

Status OpenSockets(Creation& creation) {
  const ProgramPlan* program = creation.plan.program ? &*creation.plan.program : nullptr;
  creation.console = TRY(ConnectConsoleOf(creation.options.io, program));
  if (!creation.starts_it)
    creation.listener = TRY(sys::ListenUnix(creation.paths.start_socket, 0600, SOCK_SEQPACKET));
  return {};
}

// Runs in the new process, whose copy of everything here is never destroyed.
[[noreturn]] void BecomeContainer(Creation& creation, int sync) noexcept {
  const Plan& plan = creation.plan;
  const ProcessSetup setup{
      .state = creation.state,
      .namespaces = plan.namespaces,
      .program = plan.program ? &*plan.program : nullptr,
      .seccomp = creation.seccomp ? &*creation.seccomp : nullptr,
      .hooks = &plan.hooks,
      .io = creation.options.io,
      .observer = creation.runtime.observer,
      .listener = creation.listener.get(),
      .console = creation.console.get(),
      .kept_fds = creation.listen_fds + creation.options.io.preserve_fds,
      .listen_fds = creation.listen_fds,
      .new_keyring = !creation.options.no_new_keyring,
      .trace = creation.trace ? &*creation.trace : nullptr,
  };
  NewProcess process{.setup = setup,
                     .plan = &plan,
                     .kernel_mounts = creation.kernel_mounts.get(),
                     .root_fd = creation.root.get(),
                     .mount_sources = &creation.mount_sources,
                     .namespaces = creation.namespaces,
                     .cgroup = creation.cgroup.path,
                     .no_pivot = creation.options.no_pivot,
                     .conversation = sync};
  if (plan.program) process.process = plan.program->process;
  RunContainerProcess(std::move(process));
}

Status Clone(Creation& creation) {
  auto [ours, theirs] = TRY(sys::SeqpacketPair());
  creation.process =
      TRY(CloneProcess({.namespaces = creation.plan.namespaces,
                        .opened = creation.namespaces,
                        .cgroup_fd = creation.cgroup.directory.get(),
                        .child_of_parent = creation.options.child_of_parent,
                        .left_to_child = creation.kernel_mounts ? std::uint64_t{CLONE_NEWNS} : 0,
                        .unprivileged = creation.state.owner_uid != 0},
                       [&, sync = theirs.get()] {
                         ours.reset();
                         BecomeContainer(creation, sync);
                       }));
  creation.sync = std::move(ours);
  for (OpenedNamespace& each : creation.namespaces)
    if (each.flag == CLONE_NEWNET) creation.network = std::move(each.fd);
  creation.cgroup.placeholder.End();
  creation.kernel_mounts.reset();
  creation.root.reset();
  creation.mount_sources.clear();
  creation.namespaces.clear();
  creation.listener.reset();
  creation.console.reset();
  return {};
}
void Kill(Creation& creation) noexcept {
  creation.sync.reset();
  KillClonedProcess(creation.process);
}

// A process that has died makes our next step fail: its own last word comes first.
Status OrLastWord(const Creation& creation, Status status) {
  return status.has_value() ? status
                            : Status(LastWordOf(creation.sync.get(), std::move(status).error()));
}

Status GiveIds(Creation& creation) {
  if (creation.plan.id_maps.uids.empty()) return {};
  TRY(OrLastWord(creation, WriteIdMaps(creation.plan.id_maps, creation.process.pid)));
  return OrLastWord(creation, SendSync(creation.sync.get(), SyncKind::kIdMapsWritten));
}

// bpf(2) is not for the root of a user namespace. There nobody can make a device node either, and
// those of the host admit whom the host admits.
Status LimitDevices(const Creation& creation) {
  Status attached = AttachDevices(creation.cgroup.directory.get(), creation.plan.cgroup.devices);
  if (attached.has_value() || attached.error().errnum != EPERM) return attached;
  const NamespacesPlan& namespaces = creation.plan.namespaces;
  const bool in_user_namespace =
      namespaces.IsNew(CLONE_NEWUSER) || namespaces.IsJoined(CLONE_NEWUSER) || InUserNamespace();
  if (!in_user_namespace || !IsRootless(creation.runtime)) return attached;
  if (creation.plan.cgroup.device_rules_given > 1 && creation.runtime.warn)
    creation.runtime.warn(
        "/linux/resources/devices: ignored, since only root may load device rules");
  return {};
}

Status JoinRdt(Creation& creation) { return JoinRdtOf(creation.state, creation.process.pid); }

Status MoveDevices(Creation& creation) {
  if (creation.plan.net_devices.empty()) return {};
  if (!creation.network) {
    const std::string path = "/proc/" + std::to_string(creation.process.pid) + "/ns/net";
    auto network = sys::OpenNamespace(path, CLONE_NEWNET);
    if (!network.has_value()) return LastWordOf(creation.sync.get(), network.error());
    creation.network = std::move(*network);
  }
  return MoveNetDevices(creation.plan.net_devices, creation.network.get(), creation.moved_devices);
}
void ReturnDevices(Creation& creation) noexcept { ReturnNetDevices(creation.moved_devices); }

Status LimitCgroup(Creation& creation) {
  const int cgroup = creation.cgroup.directory.get();
  if (cgroup < 0) return {};
  TRY(LimitDevices(creation));
  TRY(ApplyLimits(cgroup, creation.plan.cgroup.limits));
  if (!creation.plan.cgroup_owner) return {};
  Status delegated = DelegateCgroup(cgroup, *creation.plan.cgroup_owner);
  // It stays the caller's, who can give nothing away.
  const bool refused = !delegated.has_value() && IsRefused(delegated.error());
  return refused && IsRootless(creation.runtime) ? Status() : delegated;
}

Status SetOomScore(Creation& creation) {
  if (!creation.plan.program) return {};
  return OrLastWord(creation, SetOomScoreAdj(creation.runtime, creation.plan.program->process,
                                             creation.process.pid));
}

Status RunRuntimeHooks(Creation& creation) {
  const oci::Hooks& hooks = creation.plan.hooks;
  if (hooks.prestart.empty() && hooks.create_runtime.empty()) return {};
  TRY(ExpectSync(creation.sync.get(), SyncKind::kMounted));
  // prestart is older than "creating": its hooks have always read "created", which the lifecycle
  // allows, since they come after the step that creates the environment.
  oci::State state = ToOciState(creation.state, oci::ContainerStatus::kCreated);
  state.pid = creation.process.pid;
  TRY(RunHooks(hooks.prestart, "prestart", state));
  state = ToOciState(creation.state, oci::ContainerStatus::kCreating);
  state.pid = creation.process.pid;
  TRY(RunHooks(hooks.create_runtime, "createRuntime", state));
  return OrLastWord(creation, SendSync(creation.sync.get(), SyncKind::kHooksRun));
}

Status AwaitReady(Creation& creation) {
  // For exec, and for the hooks that come later.
  TRY(WriteFileAtomically(creation.paths.config, creation.config_text));
  const auto stat = sys::ReadProcessStat(creation.process.pid);
  if (!stat.has_value()) return LastWordOf(creation.sync.get(), stat.error());
  creation.state.pid = creation.process.pid;
  creation.state.start_ticks = stat->start_ticks;
  creation.record = TRY(WriteStateAside(creation.paths, creation.state));
  TRY(ExpectSync(creation.sync.get(), SyncKind::kReady));
  return {};
}

Status ApplyLastLimits(Creation& creation) {
  if (!creation.cgroup.directory) return {};
  const CgroupPlan& plan = creation.plan.cgroup;
  if (plan.unit) TRY(SetUnitProperties(*plan.unit, plan.unit->last_properties));
  return ApplyLimits(creation.cgroup.directory.get(), plan.last_limits);
}

Status WritePid(Creation& creation) {
  TRY(SendPidfd(creation.options.pidfd_socket, "standard", creation.process.pidfd.get()));
  return WritePidFile(creation.options.pid_file, creation.process.pid);
}
void RemovePid(Creation& creation) noexcept {
  if (!creation.options.pid_file.empty()) ::unlink(creation.options.pid_file.c_str());
}

Status RecordCreated(Creation& creation) {
  TRY(creation.record.Commit());
  if (creation.starts_it) return {};
  return OrLastWord(creation, SendSync(creation.sync.get(), SyncKind::kCreated));
}

constexpr Step<Creation> kCreateSteps[] = {
    {"take-id", "mkdir(2), flock(2)", "runtime.md#create",
     "The id is taken from here on, and its directory is the container's lock.", TakeId, ReleaseId,
     "removes the directory"},
    {"record-intent", "open(2), write(2), rename(2)", "runtime.md#state",
     "Whatever happens to us now, `delete` will know what there may be.", RecordIntent},
    {"make-cgroup", "mkdir(2), write(2)", "config-linux.md#cgroups-path",
     "Before the process, so that it is born inside.", MakeContainerCgroup, RemoveContainerCgroup,
     "kills what is in it, removes what was made"},
    {"make-rdt-group", "mkdirat(2), write(2)", "config-linux.md#intelrdt",
     "Cache and memory bandwidth of its closID; another's group stays as it is.", MakeRdt,
     RemoveRdt, "removes what was made", UndoAfter::kAttempt},
    {"compile-seccomp", "-", "config-linux.md#seccomp",
     "Here, where there are memory, libraries and a cache.", Compile},
    {"open-sources", "open_tree(2), open(2)", "config.md#mounts",
     "The root, bind sources and given namespaces, with the host's eyes and rights.", OpenSources},
    {"open-sockets", "bind(2), connect(2)", "runtime.md#start",
     "The container process will wait on one for `start`, and give a terminal to the other.",
     OpenSockets},
    {"clone-process", "clone3(2)", "config-linux.md#namespaces",
     "One call makes the process, its new namespaces, and puts it into the cgroup.", Clone, Kill,
     "SIGKILL, and waits for the death"},
    {"set-oom-score", "write(2)", "config.md#linux-process",
     "From outside: in a user namespace the process could not lower it.", SetOomScore},
    {"join-rdt-group", "write(2)", "config-linux.md#intelrdt",
     "While it is one process alone: its children will be born inside.", JoinRdt},
    {"write-id-maps", "write(2)", "config-linux.md#user-namespace-mappings",
     "The process itself may map no more than its own id.", GiveIds},
    {"move-net-devices", "setns(2), netlink(7)", "config-linux.md#network-devices",
     "Renamed, with their global addresses, and up; back to us should the creation fail.",
     MoveDevices, ReturnDevices, "moves them back", UndoAfter::kAttempt},
    {"limit-cgroup", "bpf(2), write(2)", "config-linux.md#control-groups",
     "While the container process mounts; the device program decides from here on.", LimitCgroup},
    {"run-runtime-hooks", "posix_spawn(3)", "config.md#createruntime-hooks",
     "In our namespaces, when the container's mounts are there.", RunRuntimeHooks},
    {"await-ready", "write(2), recvmsg(2)", "runtime.md#lifecycle",
     "The container process is done, or its Error is ours. Meanwhile its records are written.",
     AwaitReady},
    {"apply-last-limits", "write(2)", "config-linux.md#control-groups",
     "Limits that could have hit our own preparation: memory.max, pids.max.", ApplyLastLimits},
    {"write-pid-file", "sendmsg(2), open(2), write(2), rename(2)", "-",
     "Supervisors read it as soon as `create` returns.", WritePid, RemovePid, "removes it"},
    {"record-created", "rename(2), sendmsg(2)", "runtime.md#lifecycle",
     "From here on the container lives without us.", RecordCreated},
};

// Without "." components or a slash at the end.
std::string Absolute(const std::string& path) {
  std::error_code error;
  std::string absolute =
      std::filesystem::absolute(path.empty() ? "." : path, error).lexically_normal().string();
  while (absolute.size() > 1 && absolute.ends_with('/')) absolute.pop_back();
  return error ? path : absolute;
}

std::uint64_t RealtimeNanoseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// As runc does: read-only, since only the socket in it is the container's to write to.
void AddNotify(const std::string& directory, oci::Spec& spec) {
  spec.mounts.push_back(
      {"/run/notify", "bind", directory, {"bind", "nosuid", "noexec", "nodev", "ro"}, {}, {}});
  if (spec.process) spec.process->env.push_back("NOTIFY_SOCKET=/run/notify/notify.sock");
}

StateFile InitialState(const Plan& plan, const oci::Spec& spec) {
  StateFile state;
  state.oci_version = spec.oci_version;
  state.id = plan.id;
  state.bundle = plan.bundle;
  state.annotations = spec.annotations;
  state.created_unix_ns = RealtimeNanoseconds();
  state.owner_uid = ::geteuid();
  state.cgroup = plan.cgroup.Directory();
  if (plan.rdt) {
    state.rdt_mount = plan.rdt->mount;
    state.rdt_places = RdtPlaces(*plan.rdt);
    state.rdt_deleted = plan.rdt->deleted;
  }
  if (plan.cgroup.unit) {
    state.systemd_unit = plan.cgroup.unit->name;
    state.user_manager = plan.cgroup.unit->user_manager;
  } else {
    state.cgroup_created = MissingDirectories(plan.cgroup);
  }
  state.own_pid_namespace = plan.namespaces.IsNew(CLONE_NEWPID);
  state.has_process = plan.program.has_value();
  state.has_poststart = !spec.hooks.poststart.empty();
  state.has_poststop = !spec.hooks.poststop.empty();
  return state;
}

// What comes before the steps touches nothing: only a trace has it.
constexpr StepTime kReadConfig{.step = "read-config", .spec = "bundle.md#container-format"};
constexpr StepTime kMakePlan{.step = "make-plan", .spec = "-"};

Status CreateUnnamed(const Runtime& runtime, const CreateOptions& options, bool starts_it,
                     const std::function<void(Startable)>& then) {
  TRY(ValidateId(options.id));
  const std::string bundle = Absolute(options.bundle);
  const std::string file =
      options.config_file.empty() ? bundle + "/config.json" : options.config_file;
  std::string text;
  const Config config = TRY(Observed(runtime.observer, kReadConfig, [&]() -> Result<Config> {
    text = TRY(ReadFile(file));
    Config read = TRY(ParseConfig(runtime, text, file));
    if (options.notify) AddNotify(NotifyDirectory(runtime, options.id), read.spec);
    return read;
  }));
  const oci::Spec& spec = config.spec;
  const Plan plan = TRY(Observed(runtime.observer, kMakePlan, [&] {
    return MakePlan(runtime, {.spec = spec, .id = options.id, .bundle = bundle});
  }));
  if (starts_it && !plan.program) return NoProcess();
  Creation creation{.runtime = runtime,
                    .options = options,
                    .config = config,
                    .plan = plan,
                    .config_text = text,
                    .paths = PathsOf(runtime.root, options.id),
                    .state = InitialState(plan, spec),
                    .listen_fds = ListenFds(),
                    .starts_it = starts_it};
  if (creation.state.owner_uid != 0) TRY(CheckUnprivileged(spec));
  TRY(CheckKeptFds(options.io, creation.listen_fds));
  if (runtime.observer.done) creation.trace.emplace(TRY(TraceMemory::Make()));
  const Status created = RunSteps(CreateSteps(), creation, runtime.observer);
  if (created.has_value())
    then({std::move(creation.state), std::move(creation.lock), std::move(creation.sync)});
  if (creation.trace) creation.trace->Report("container", runtime.observer);
  return created;
}

}  // namespace

std::span<const Step<Creation>> CreateSteps() { return kCreateSteps; }

std::string NotifyDirectory(const Runtime& runtime, const std::string& id) {
  return PathsOf(runtime.root, id).directory + "/notify";
}

Status CreateToStart(const Runtime& runtime, const CreateOptions& options,
                     const std::function<void(Startable)>& then) {
  const Status created = CreateUnnamed(runtime, options, true, then);
  return created.has_value() ? created : Within("create container " + options.id, created.error());
}

Result<oci::State> Create(const Runtime& runtime, const CreateOptions& options) {
  oci::State state;
  const Status created = CreateUnnamed(runtime, options, false, [&](const Startable& made) {
    state = ToOciState(made.file, oci::ContainerStatus::kCreated);
  });
  if (!created.has_value()) return Within("create container " + options.id, created.error());
  return state;
}

}  // namespace coracle::runtime
