#include "clone.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <optional>

#include "coracle/sys/namespaces.h"
#include "coracle/sys/process.h"
#include "coracle/sys/socket.h"
#include "sync.h"

namespace coracle::runtime {
namespace {

// Nobody may trace or look into the new process before execve(2), not even the processes of a
// container that it has entered (CVE-2016-9962). Inherited by it; ours again afterwards.
class Undumpable {
 public:
  Undumpable() : before_(::prctl(PR_GET_DUMPABLE)) { ::prctl(PR_SET_DUMPABLE, 0); }
  ~Undumpable() {
    if (before_ == 1) ::prctl(PR_SET_DUMPABLE, 1);
  }
  Undumpable(const Undumpable&) = delete;
  Undumpable& operator=(const Undumpable&) = delete;

 private:
  const int before_;
};

std::uint64_t ParentFlag(bool child_of_parent) { return child_of_parent ? CLONE_PARENT : 0; }

// The descriptor comes with the process: one that fails at once is reaped by our parent, if it is
// its child, before we could open one by number.
Result<ClonedProcess> Clone(sys::CloneArgs args, const std::function<void()>& child) {
  int pidfd = -1;
  args.pidfd = &pidfd;
  ClonedProcess process;
  process.pid = TRY(sys::clone3(args));
  if (process.pid == 0) {
    child();
    ::_exit(1);
  }
  process.pidfd = UniqueFd(pidfd);
  return process;
}

Result<ClonedProcess> CloneDirectly(const CloneRequest& request,
                                    const std::function<void()>& child) {
  const NamespacesPlan& plan = request.namespaces;
  const bool all_at_once = request.unprivileged && plan.IsNew(CLONE_NEWUSER);
  const Status prepared = all_at_once ? Status() : PrepareForChildren(plan, request.opened);
  const std::uint64_t time = all_at_once && plan.new_time ? CLONE_NEWTIME : 0;
  Result<ClonedProcess> process =
      prepared.has_value() ? Clone({.flags = (plan.clone_flags & ~request.left_to_child) | time |
                                             ParentFlag(request.child_of_parent),
                                    .cgroup_fd = request.cgroup_fd},
                                   child)
                           : Result<ClonedProcess>(prepared.error());
  if (!all_at_once) RestoreForChildren(plan);
  return process;
}

Result<ClonedProcess> JoinAndClone(const CloneRequest& request,
                                   const std::function<void()>& child) {
  // The child is in the cgroup as we are, and shall not hold a directory of the host.
  if (request.cgroup_fd >= 0) ::close(request.cgroup_fd);
  if (request.join) {
    TRY(request.join());
  } else {
    TRY(JoinNamespaces(request.opened));
    TRY(PrepareForChildren(request.namespaces, request.opened));
  }
  return Clone({.flags = request.namespaces.clone_flags | CLONE_PARENT}, child);
}

// The joiner: it enters the namespaces in which the container process shall be born, and is gone.
[[noreturn]] void RunJoiner(const CloneRequest& request, int answer,
                            const std::function<void()>& child) noexcept {
  const Result<ClonedProcess> process = JoinAndClone(request, child);
  if (!process.has_value()) {
    Error error = process.error();
    if (error.step.empty()) error.step = "clone-process";
    (void)SendFailure(answer, error);
  } else {
    (void)sys::SendFds(answer, std::to_string(process->pid), {process->pidfd.get()});
  }
  ::_exit(0);
}

Result<ClonedProcess> CloneThroughJoiner(const CloneRequest& request,
                                         const std::function<void()>& child) {
  auto [ours, theirs] = TRY(sys::SeqpacketPair());
  const pid_t joiner = TRY(
      sys::clone3({.flags = ParentFlag(request.child_of_parent), .cgroup_fd = request.cgroup_fd}));
  if (joiner == 0) RunJoiner(request, theirs.get(), child);
  theirs.reset();
  Result<sys::Received> answer = sys::ReceiveFds(ours.get(), sizeof(SyncMessage));
  if (!request.child_of_parent) TRY(sys::WaitExit(joiner));
  if (!answer.has_value()) return answer.error();
  const std::string& text = answer->data;
  if (answer->fds.size() != 1) return ErrorInPacket(text);
  ClonedProcess process;
  process.pidfd = std::move(answer->fds[0]);
  std::from_chars(text.data(), text.data() + text.size(), process.pid);
  return process;
}

}  // namespace

Result<ClonedProcess> CloneProcess(const CloneRequest& request,
                                   const std::function<void()>& child) {
  std::optional<Undumpable> undumpable;
  if (!request.unprivileged || !request.namespaces.IsNew(CLONE_NEWUSER)) undumpable.emplace();
  const bool through_joiner = request.join || request.namespaces.NeedsJoiner();
  ClonedProcess process =
      TRY(through_joiner ? CloneThroughJoiner(request, child) : CloneDirectly(request, child));
  process.is_our_child = !request.child_of_parent;
  return process;
}

void KillClonedProcess(ClonedProcess& process) noexcept {
  if (process.pid <= 0) return;
  (void)sys::pidfd_send_signal(process.pidfd.get(), SIGKILL);
  pollfd polled{process.pidfd.get(), POLLIN, 0};
  while (::poll(&polled, 1, -1) < 0 && errno == EINTR) {
  }
  if (process.is_our_child) (void)sys::WaitExit(process.pid);
  process.pid = -1;
  process.pidfd.reset();
}

}  // namespace coracle::runtime
