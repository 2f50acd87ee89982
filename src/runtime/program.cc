// How the container process, or an exec process, becomes the user's program: the last table, and
// the steps that both ways into a container share.
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "console.h"
#include "container_process.h"
#include "coracle/sys/process.h"
#include "coracle/sys/pty.h"
#include "executable.h"
#include "hooks.h"
#include "procfs.h"

namespace coracle::runtime {
namespace {

bool IsUserNamespaced(const NewProcess& process) {
  const NamespacesPlan& namespaces = process.setup.namespaces;
  return namespaces.IsNew(CLONE_NEWUSER) || namespaces.IsJoined(CLONE_NEWUSER);
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Status RunStartHooks(NewProcess& process) {
  if (process.setup.hooks == nullptr || process.setup.hooks->start_container.empty()) return {};
  oci::State state = ToOciState(process.setup.state, oci::ContainerStatus::kCreated);
  state.pid = ::getpid();
  return RunHooks(process.setup.hooks->start_container, "startContainer", state);
}

Status OwnStdio(NewProcess& process) { return OwnStandardStreams(process.process); }

Status LimitResources(NewProcess& process) { return SetRlimits(process.setup.program->rlimits); }

Status LabelProgram(NewProcess& process) {
  if (process.process.apparmor_profile.empty() && process.process.selinux_label.empty()) return {};
  if (!process.proc) process.proc = TRY(OpenProc(ProcPart::kProcesses));
  const Status labelled = SetExecLabels(process.process, process.proc.get());
  process.proc.reset();
  return labelled;
}

// All that can be done before it has been done; what comes may not even allow recvmsg(2).
Status AwaitGo(NewProcess& process) {
  if (process.awaits_go) TRY(ExpectSync(process.conversation, SyncKind::kCreated));
  process.awaits_go = false;
  return {};
}

// The filter, and its listener on the way to whoever waits for it.
Status FilterNow(NewProcess& process) {
  TRY(AwaitGo(process));
  const UniqueFd listener = TRY(LoadSeccomp(*process.setup.seccomp));
  if (!listener) return {};
  TRY(SendSync(process.conversation, SyncKind::kSeccompListener, listener.get()));
  TRY(ExpectSync(process.conversation, SyncKind::kSeccompTaken));
  return {};
}

Status FilterWithPrivilege(NewProcess& process) {
  if (process.setup.seccomp == nullptr || process.process.no_new_privileges) return {};
  return FilterNow(process);
}

Status LimitBounding(NewProcess& process) {
  return LimitBoundingSet(process.setup.program->capabilities);
}

Status SwitchUser(NewProcess& process) { return SetUser(process.process); }

Status SwitchCapabilities(NewProcess& process) {
  return SetCapabilities(process.setup.program->capabilities);
}

// Only the user may enter it: then after set-user.
Status EnterDirectory(NewProcess& process) {
  Status entered = EnterWorkingDirectory(process.process);
  process.enter_as_user = !entered.has_value() && entered.error().errnum == EACCES;
  return process.enter_as_user ? Status() : entered;
}

Status EnterDirectoryAsUser(NewProcess& process) {
  return process.enter_as_user ? EnterWorkingDirectory(process.process) : Status();
}

Status ForbidNewPrivileges(NewProcess& process) { return SetNoNewPrivileges(process.process); }

Status PinToCpus(NewProcess& process) { return SetCpuAffinity(process.process.final_cpus); }

Status FilterWithoutPrivilege(NewProcess& process) {
  if (process.setup.seccomp == nullptr || !process.process.no_new_privileges) return {};
  return FilterNow(process);
}

// Everything it needs was made before the filter, except these few words of memory.
Status Execute(NewProcess& process) {
  const std::vector<char*> argv = Pointers(process.process.args);
  const std::vector<char*> envp = Pointers(process.process.env);
  ::execve(process.executable.c_str(), argv.data(), envp.data());
  return KernelError("exec \"" + process.executable + "\": execve(2)");
}

constexpr Step<NewProcess> kProgramSteps[] = {
    {"own-stdio", "fchown(2)", "config.md#process",
     "A user who is not root may open /dev/stdout again.", OwnStdio},
    {"set-rlimits", "setrlimit(2)", "config.md#posix-process",
     "Late, so that they limit the program and not its preparation.", LimitResources},
    {"set-exec-label", "openat2(2), write(2)", "config.md#linux-process",
     "AppArmor and SELinux switch at the next execve(2).", LabelProgram},
    {"enter-working-directory", "chdir(2), getcwd(2)", "config.md#process",
     "Only if it lies inside the root (CVE-2024-21626).", EnterDirectory},
    {"load-seccomp-privileged", "seccomp(2)", "config-linux.md#seccomp",
     "Without no_new_privs the filter needs CAP_SYS_ADMIN, which is about to go.",
     FilterWithPrivilege},
    {"limit-bounding-set", "prctl(2)", "config.md#linux-process",
     "Needs CAP_SETPCAP, so before the user is switched.", LimitBounding},
    {"set-user", "setgroups(2), setresgid(2), setresuid(2), umask(2)",
     "config.md#posix-platform-user", "Groups first: afterwards they could not be changed.",
     SwitchUser},
    {"set-capabilities", "capset(2), prctl(2)", "config.md#linux-process",
     "The kernel cleared them with the user; these are the configured ones.", SwitchCapabilities},
    {"enter-as-user", "chdir(2), getcwd(2)", "config.md#process",
     "A network file system may let the user into what root may not see.", EnterDirectoryAsUser},
    {"set-final-cpus", "sched_setaffinity(2)", "config.md#process",
     "execCPUAffinity.final, once nothing of ours has to run.", PinToCpus},
    {"set-no-new-privs", "prctl(2)", "config.md#linux-process",
     "execve can no longer raise privileges through set-uid files.", ForbidNewPrivileges},
    {"await-go", "recvmsg(2)", "runtime.md#start",
     "Of `run` and `exec`, whose runtime writes its records meanwhile; `start` has been waited "
     "for.",
     AwaitGo},
    {"load-seccomp", "seccomp(2)", "config-linux.md#seccomp",
     "From here on only execve, write and exit are needed, and what the hooks need.",
     FilterWithoutPrivilege},
    {"run-start-hooks", "posix_spawn(3)", "config.md#startcontainer-hooks",
     "A program of the container's: with its user, capabilities and filter, not with ours.",
     RunStartHooks},
    {"execute", "execve(2)", "runtime.md#start",
     "Closes all descriptors of ours; by that the runtime knows that it worked.", Execute},
};

// The variables that tell a program of the sockets it was started with: sd_listen_fds(3).
void TellListenFds(NewProcess& process) {
  if (process.setup.listen_fds == 0) return;
  process.process.env.push_back("LISTEN_FDS=" + std::to_string(process.setup.listen_fds));
  process.process.env.push_back("LISTEN_PID=" + std::to_string(::getpid()));
}

}  // namespace

std::span<const Step<NewProcess>> ProgramSteps() { return kProgramSteps; }

StepObserver ObserverOf(const ProcessSetup& setup) {
  StepObserver observer{.fault = setup.observer.fault};
  if (setup.trace != nullptr) setup.trace->Observe(observer);
  return observer;
}

Status BecomeNamespaceRoot(NewProcess& process) {
  return IsUserNamespaced(process) ? BecomeRootOfUserNamespace() : Status();
}

Status StartSession(NewProcess& process) {
  sys::ResetSignals();
  ::umask(0);
  if (::setsid() < 0 && errno != EPERM) return KernelError("setsid(2)");
  return !process.setup.new_keyring ? Status() : JoinSessionKeyring();
}

Status ConnectStdio(NewProcess& process, int root_fd, bool attach_console) {
  const ProgramPlan* program = process.setup.program;
  if (program == nullptr || !program->terminal) return InstallStdio(process.setup.io.stdio);
  const UniqueFd slave = TRY(OpenTerminal(root_fd, process.setup.console, program->console_size));
  if (attach_console) TRY(AttachConsole(root_fd, slave.get()));
  TRY(sys::MakeControllingTerminal(slave.get()));
  return InstallStdio({slave.get(), slave.get(), slave.get()});
}

Status ApplyAttributes(NewProcess& process) {
  if (process.setup.program == nullptr) return {};
  TRY(SetPersonality(process.process));
  if (process.process.scheduler) TRY(SetScheduler(*process.process.scheduler));
  if (process.process.memory_policy) TRY(SetMemoryPolicy(*process.process.memory_policy));
  return SetIoPriority(process.process);
}

Status CloseDescriptors(NewProcess& process) {
  std::vector<unsigned> kept;
  for (const int fd : {process.conversation, process.setup.listener, process.proc.get()})
    if (fd >= 0) kept.push_back(static_cast<unsigned>(fd));
  std::sort(kept.begin(), kept.end());
  kept.push_back(~0U);
  unsigned first = 3 + static_cast<unsigned>(process.setup.kept_fds);
  for (const unsigned fd : kept) {
    if (fd < first) continue;
    const unsigned last = fd == ~0U ? fd : fd - 1;
    if (first <= last && ::close_range(first, last, 0) != 0) return KernelError("close_range(2)");
    first = fd + 1;
  }
  return {};
}

Status FindProgram(NewProcess& process) {
  if (process.setup.program == nullptr) return {};
  TellListenFds(process);
  // A relative name is meant from the working directory. If that does not exist yet, or is for
  // the user only, enter-working-directory will say so.
  if (::chdir(process.process.cwd.c_str()) != 0 && ::chdir("/") != 0)
    return KernelError("chdir(2) path=/");
  process.executable = TRY(FindExecutable(process.process));
  return {};
}

}  // namespace coracle::runtime
