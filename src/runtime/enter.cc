// What an exec process does to itself, in order, to get into an existing container.
#include <unistd.h>

#include "container_process.h"
#include "coracle/sys/namespaces.h"
#include "coracle/sys/path.h"
#include "executable.h"

namespace coracle::runtime {
namespace {

// All at once: the kernel takes them in the order in which the privilege lasts.
Status SetNamespaces(NewProcess& process) {
  if (process.target_namespaces != 0)
    TRY(sys::setns(process.target_pidfd, process.target_namespaces));
  ::close(process.target_pidfd);
  if (process.target_root < 0) return {};
  TRY(EnterRoot(process.target_root));
  ::close(process.target_root);
  return {};
}

Status PinToFirstCpus(NewProcess& process) { return SetCpuAffinity(process.process.initial_cpus); }

Status ConnectInput(NewProcess& process) {
  const UniqueFd root = TRY(sys::OpenRoot("/"));
  return ConnectStdio(process, root.get(), false);
}

Status PrepareHome(NewProcess& process) {
  const UniqueFd root = TRY(sys::OpenRoot("/"));
  return FillHome(process.process, root.get());
}

constexpr Step<NewProcess> kEnterSteps[] = {
    {"join-container", "setns(2), chroot(2)", "config-linux.md#namespaces",
     "By a process of its own, which then clones the one that others in there can see.",
     SetNamespaces},
    {"become-namespace-root", "setgroups(2), setresgid(2), setresuid(2)",
     "config-linux.md#user-namespace-mappings",
     "In a user namespace: its root, and not a stranger without an id.", BecomeNamespaceRoot},
    {"start-session", "setsid(2), keyctl(2), rt_sigaction(2)", "-",
     "No terminal, keyring, umask or ignored signal of the caller leaks in.", StartSession},
    {"set-initial-cpus", "sched_setaffinity(2)", "config.md#process",
     "execCPUAffinity.initial: where our own preparation may run.", PinToFirstCpus},
    {"connect-stdio", "ioctl(2), sendmsg(2), dup2(2)", "config.md#process",
     "The given descriptors, or a terminal of the container's own devpts.", ConnectInput},
    {"apply-attributes", "personality(2), sched_setattr(2), set_mempolicy(2), ioprio_set(2)",
     "config.md#process", "While this process still has the privilege to raise them.",
     ApplyAttributes},
    {"prepare-home", "openat2(2)", "config.md#process",
     "HOME from the container's passwd file, unless it is set.", PrepareHome},
    {"close-descriptors", "close_range(2)", "config.md#process",
     "No descriptor of the host outlives this (CVE-2024-21626).", CloseDescriptors},
    {"find-executable", "faccessat(2)", "config.md#process",
     "By the container's PATH, with the words of runc if it is not there.", FindProgram},
};

constexpr std::size_t kByJoiner = 1;

}  // namespace

std::span<const Step<NewProcess>> EnterSteps() { return kEnterSteps; }

Status JoinContainer(NewProcess& process) {
  return RunSteps(EnterSteps().first(kByJoiner), process, ObserverOf(process.setup));
}

void RunExecProcess(NewProcess process) noexcept {
  const StepObserver observer = ObserverOf(process.setup);
  Status status = RunSteps(EnterSteps().subspan(kByJoiner), process, observer);
  process.awaits_go = true;  // until the pid file is written, the score set
  if (status.has_value()) status = RunSteps(ProgramSteps(), process, observer);
  if (!status.has_value()) (void)SendFailure(process.conversation, status.error());
  ::_exit(1);
}

}  // namespace coracle::runtime
