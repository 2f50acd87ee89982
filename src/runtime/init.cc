// What the container process does to itself, in order, until it is `created` and waits.
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "console.h"
#include "container_process.h"
#include "coracle/sys/mount.h"
#include "coracle/sys/namespaces.h"
#include "executable.h"
#include "hooks.h"
#include "mount_namespace.h"
#include "procfs.h"

namespace coracle::runtime {
namespace {

Status AwaitIdMaps(NewProcess& process) {
  if (!process.plan->namespaces.IsNew(CLONE_NEWUSER)) return {};
  TRY(ExpectSync(process.conversation, SyncKind::kIdMapsWritten));
  // It was dumpable for a user who had to write them, and would be for the container's root.
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return KernelError("prctl(2) PR_SET_DUMPABLE");
  return {};
}

// As the caller still, who may walk where the container's root may not.
Status OpenOwnSources(NewProcess& process) {
  if (process.root_fd >= 0) return {};
  process.own_root = TRY(CloneRoot(process.plan->rootfs));
  process.own_mount_sources = TRY(OpenMountSources(process.plan->mounts));
  process.root_fd = process.own_root.get();
  process.mount_sources = &process.own_mount_sources;
  return {};
}

Status JoinGivenNamespaces(NewProcess& process) {
  if (process.plan->namespaces.NeedsJoiner()) return {};  // was done before we were cloned
  return JoinNamespaces(process.namespaces);
}

Status UnshareCgroup(NewProcess& process) {
  return process.plan->namespaces.new_cgroup ? sys::unshare(CLONE_NEWCGROUP) : Status();
}

Status SetUpLoopback(NewProcess& process) {
  return process.plan->namespaces.IsNew(CLONE_NEWNET) ? RaiseLoopback() : Status();
}

Status SetNames(NewProcess& process) { return SetHostnames(process.plan->namespaces); }

Status Isolate(NewProcess& process) {
  if (process.kernel_mounts >= 0) {  // else the new namespace came with clone3(2)
    TRY(PrepareMounts(process.plan->mounts, process.cgroup, *process.mount_sources));
    process.devtmpfs = TRY(CopyMountNamespace(process.kernel_mounts));
  }
  return process.devtmpfs ? Status() : IsolateMounts(process.plan->rootfs);
}

Status Attach(NewProcess& process) {
  if (!process.devtmpfs) return AttachRoot(process.plan->rootfs, process.root_fd);
  return sys::move_mount(process.root_fd, process.devtmpfs.get(), "/");
}

Status MountAll(NewProcess& process) {
  return AttachMounts(process.plan->mounts, *process.mount_sources, process.root_fd,
                      process.cgroup);
}

Status MakeDevices(NewProcess& process) {
  TRY(CreateDevices(process.plan->devices, process.root_fd, process.devtmpfs.get()));
  return CreateDeviceLinks(process.plan->devices, process.root_fd);
}

Status ConnectInput(NewProcess& process) { return ConnectStdio(process, process.root_fd, true); }

Status AwaitRuntimeHooks(NewProcess& process) {
  const oci::Hooks& hooks = *process.setup.hooks;
  if (hooks.prestart.empty() && hooks.create_runtime.empty()) return {};
  TRY(SendSync(process.conversation, SyncKind::kMounted));
  TRY(ExpectSync(process.conversation, SyncKind::kHooksRun));
  return {};
}

Status RunContainerHooks(NewProcess& process) {
  const auto& hooks = process.setup.hooks->create_container;
  if (hooks.empty()) return {};
  oci::State state = ToOciState(process.setup.state, oci::ContainerStatus::kCreating);
  state.pid = ::getpid();  // as the hook, which runs in our namespaces, would see us
  return RunHooks(hooks, "createContainer", state);
}

Status WriteSettings(NewProcess& process) {
  const bool labels = process.setup.program != nullptr &&
                      (!process.setup.program->process.apparmor_profile.empty() ||
                       !process.setup.program->process.selinux_label.empty());
  if (labels) process.proc = TRY(OpenProc(ProcPart::kProcesses));  // later it may not be made
  if (process.plan->sysctl.values.empty()) return {};
  const UniqueFd proc = TRY(OpenProc(ProcPart::kAll));
  return WriteSysctls(process.plan->sysctl, proc.get());
}

Status Mask(NewProcess& process) {
  return MaskPaths(process.plan->masked_paths, process.root_fd, process.devtmpfs.get());
}

Status MakeReadonly(NewProcess& process) {
  return MakeReadonlyPaths(process.plan->masked_paths, process.root_fd);
}

Status PrepareHome(NewProcess& process) {
  if (process.setup.program == nullptr) return {};
  TRY(FillHome(process.process, process.root_fd));
  return MakeWorkingDirectory(process.process, process.root_fd);
}

Status Pivot(NewProcess& process) {
  if (process.devtmpfs) TRY(EnterRoot(process.devtmpfs.get()));
  TRY(process.no_pivot ? MoveRoot(process.plan->rootfs, process.root_fd)
                       : PivotRoot(process.plan->rootfs, process.root_fd));
  return SealRoot(process.plan->rootfs, process.root_fd);
}

Status Verify(NewProcess& process) { return VerifyRoot(process.root_fd); }

Status SayReady(NewProcess& process) { return SendSync(process.conversation, SyncKind::kReady); }

constexpr Step<NewProcess> kContainerSteps[] = {
    {"await-id-maps", "recvmsg(2)", "config-linux.md#user-namespace-mappings",
     "Until the runtime has written the maps, this process is nobody in its user namespace.",
     AwaitIdMaps},
    {"join-namespaces", "setns(2)", "config-linux.md#namespaces",
     "Namespaces given by path are entered; the new ones came with clone3(2).",
     JoinGivenNamespaces},
    {"open-own-sources", "open_tree(2), open(2)", "config.md#mounts",
     "What open-sources may not do without root: here the mount namespace is ours.",
     OpenOwnSources},
    {"become-namespace-root", "setgroups(2), setresgid(2), setresuid(2)",
     "config-linux.md#user-namespace-mappings",
     "Files made from here on belong to the container's root, not to the host's.",
     BecomeNamespaceRoot},
    {"start-session", "setsid(2), keyctl(2), rt_sigaction(2)", "-",
     "No terminal, keyring, umask or ignored signal of the caller leaks in.", StartSession},
    {"unshare-cgroup", "unshare(2)", "config-linux.md#namespaces",
     "Only now: a cgroup namespace is rooted where its maker is.", UnshareCgroup},
    {"raise-loopback", "ioctl(2)", "config-linux.md#namespaces",
     "A new network namespace has a loopback device, but it is down.", SetUpLoopback},
    {"set-hostname", "sethostname(2), setdomainname(2)", "config.md#hostname",
     "Only the container's UTS namespace sees the names.", SetNames},
    {"isolate-mounts", "setns(2), unshare(2), mount(2), fsopen(2), open_tree(2)",
     "config-linux.md#rootfs-mount-propagation",
     "Of the host's mounts there are slaves here at most: no mount below appears there too.",
     Isolate},
    {"attach-root", "move_mount(2)", "config.md#root",
     "pivot_root needs the new root to be a mount point of this namespace.", Attach},
    {"mount-filesystems", "fsopen(2), open_tree(2), mount_setattr(2), move_mount(2)",
     "config.md#mounts", "In the listed order: later ones may cover earlier ones.", MountAll},
    {"create-devices", "mknodat(2), symlinkat(2)", "config-linux.md#devices",
     "In the fresh /dev, whose every component was opened inside the root.", MakeDevices},
    {"connect-stdio", "ioctl(2), sendmsg(2), dup2(2)", "config.md#process",
     "The given descriptors, or a terminal of the container's own devpts.", ConnectInput},
    {"await-runtime-hooks", "sendmsg(2), recvmsg(2)", "config.md#createruntime-hooks",
     "They see all mounts from the runtime's side, before the root changes.", AwaitRuntimeHooks},
    {"run-container-hooks", "posix_spawn(3)", "config.md#createcontainer-hooks",
     "Found on the host's root, run in the container's namespaces.", RunContainerHooks},
    {"write-sysctls", "openat2(2), write(2)", "config-linux.md#sysctl",
     "Through a private procfs, before the visible one becomes read-only.", WriteSettings},
    {"make-readonly-paths", "open_tree(2), mount_setattr(2)", "config-linux.md#readonly-paths",
     "What the container may see but not change.", MakeReadonly},
    {"mask-paths", "open_tree(2), move_mount(2)", "config-linux.md#masked-paths",
     "What the container may not even see.", Mask},
    {"prepare-home", "openat2(2), mkdirat(2)", "config.md#process",
     "HOME from the container's passwd file, and the working directory if it is missing.",
     PrepareHome},
    {"pivot-root", "pivot_root(2), umount2(2), mount_setattr(2)", "config.md#root",
     "Unlike chroot(2), leaves no way back to the host's root.", Pivot},
    {"apply-attributes", "personality(2), sched_setattr(2), set_mempolicy(2), ioprio_set(2)",
     "config.md#process", "While this process still has the privilege to raise them.",
     ApplyAttributes},
    {"verify-root", "fstat(2), getcwd(2)", "config.md#root",
     "Root and working directory must be the container's (CVE-2024-21626).", Verify},
    {"close-descriptors", "close_range(2)", "config.md#process",
     "No descriptor of a host directory outlives this (CVE-2024-21626).", CloseDescriptors},
    {"find-executable", "faccessat(2)", "config.md#process",
     "A program that is not there fails `create`, not `start`.", FindProgram},
    {"say-ready", "sendmsg(2)", "runtime.md#lifecycle",
     "The container is `created`; only the program's start is left.", SayReady},
};

[[noreturn]] void Fail(const NewProcess& process, const Error& error) noexcept {
  (void)SendFailure(process.conversation, error);  // the exit itself also tells the runtime
  ::_exit(1);
}

struct Caller {
  int connection = -1;
  bool traces = false;  // it has given its end of the connection a name
};

// Until `start` connects. The runtime's death before kCreated ends this process: no state names
// it yet.
Result<Caller> AwaitStart(const NewProcess& process) {
  TRY(ExpectSync(process.conversation, SyncKind::kCreated));
  ::close(process.conversation);
  for (;;) {
    sockaddr_un name{};
    socklen_t size = sizeof name;
    const int connection =
        ::accept4(process.setup.listener, reinterpret_cast<sockaddr*>(&name), &size, SOCK_CLOEXEC);
    if (connection >= 0) return Caller{connection, size > sizeof name.sun_family};
    if (errno != EINTR && errno != ECONNABORTED) return KernelError("accept4(2) start.sock");
  }
}

Status RunProgramSteps(NewProcess& process, bool traced) {
  StepObserver observer{.fault = process.setup.observer.fault};
  if (!traced) return RunSteps(ProgramSteps(), process, observer);
  const TraceMemory trace =
      TRY(TraceMemory::Open(TRY(ExpectSync(process.conversation, SyncKind::kTrace))));
  trace.Observe(observer);
  return RunSteps(ProgramSteps(), process, observer);
}

}  // namespace

std::span<const Step<NewProcess>> ContainerSteps() { return kContainerSteps; }

void RunContainerProcess(NewProcess process) noexcept {
  const StepObserver observer = ObserverOf(process.setup);
  Status status = RunSteps(ContainerSteps(), process, observer);
  if (!status.has_value()) Fail(process, status.error());

  if (process.setup.listener < 0) {  // `run`: no `start` will come
    process.awaits_go = true;
    status = RunSteps(ProgramSteps(), process, observer);
  } else {
    const Result<Caller> caller = AwaitStart(process);
    if (!caller.has_value()) ::_exit(1);
    process.conversation = caller->connection;
    ::close(process.setup.listener);
    status = RunProgramSteps(process, caller->traces);
  }
  Fail(process, status.has_value() ? Error{Code::kProtocol, 0, "no program"} : status.error());
}

}  // namespace coracle::runtime
