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

Result<pid_t> CloneDirectly(const CloneRequest& request, const std::function<void()>& child) {
  const NamespacesPlan& plan = request.namespaces;
  const bool all_at_once = request.unprivileged && plan.IsNew(CLONE_NEWUSER);
  const Status prepared = all_at_once ? Status() : PrepareForChildren(plan, request.opened);
  const std::uint64_t time = all_at_once && plan.new_time ? CLONE_NEWTIME : 0;
  Result<pid_t> pid =
      prepared.has_value()
          ? sys::clone3({.flags = plan.clone_flags | time | ParentFlag(request.child_of_parent),
                         .cgroup_fd = request.cgroup_fd})
          : Result<pid_t>(prepared.error());
  if (pid.has_value() && *pid == 0) {
    child();
    ::_exit(1);
  }
  if (!all_at_once) RestoreForChildren(plan);
  return pid;
}

Result<pid_t> JoinAndClone(const CloneRequest& request) {
  // The child is in the cgroup as we are, and shall not hold a directory of the host.
  if (request.cgroup_fd >= 0) ::close(request.cgroup_fd);
  if (request.join) {
    TRY(request.join());
  } else {
    TRY(JoinNamespaces(request.opened));
    TRY(PrepareForChildren(request.namespaces, request.opened));
  }
  return sys::clone3({.flags = request.namespaces.clone_flags | CLONE_PARENT});
}

// The joiner: it enters the namespaces in which the container process shall be born, and is gone.
[[noreturn]] void RunJoiner(const CloneRequest& request, int answer,
                            const std::function<void()>& child) noexcept {
  const Result<pid_t> pid = JoinAndClone(request);
  if (pid.has_value() && *pid == 0) {
    child();
    ::_exit(1);
  }
  if (!pid.has_value()) {
    Error error = pid.error();
    if (error.step.empty()) error.step = "clone-process";
    (void)SendFailure(answer, error);
  } else {
    (void)sys::SendFds(answer, std::to_string(*pid), {});
  }
  ::_exit(0);
}

Result<pid_t> CloneThroughJoiner(const CloneRequest& request, const std::function<void()>& child) {
  auto [ours, theirs] = TRY(sys::SeqpacketPair());
  const pid_t joiner = TRY(
      sys::clone3({.flags = ParentFlag(request.child_of_parent), .cgroup_fd = request.cgroup_fd}));
  if (joiner == 0) RunJoiner(request, theirs.get(), child);
  theirs.reset();
  const Result<sys::Received> answer = sys::ReceiveFds(ours.get(), sizeof(SyncMessage));
  if (!request.child_of_parent) TRY(sys::WaitExit(joiner));
  if (!answer.has_value()) return answer.error();
  pid_t pid = 0;
  const std::string& text = answer->data;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error == std::errc() && end == text.data() + text.size() && pid > 0) return pid;
  return ErrorInPacket(text);
}

}  // namespace

Result<ClonedProcess> CloneProcess(const CloneRequest& request,
                                   const std::function<void()>& child) {
  ClonedProcess process;
  process.is_our_child = !request.child_of_parent;
  {
    std::optional<Undumpable> undumpable;
    if (!request.unprivileged || !request.namespaces.IsNew(CLONE_NEWUSER)) undumpable.emplace();
    const bool through_joiner = request.join || request.namespaces.NeedsJoiner();
    process.pid =
        TRY(through_joiner ? CloneThroughJoiner(request, child) : CloneDirectly(request, child));
  }
  Result<UniqueFd> pidfd = sys::pidfd_open(process.pid);
  if (!pidfd.has_value()) {
    KillClonedProcess(process);
    return pidfd.error();
  }
  process.pidfd = std::move(*pidfd);
  return process;
}

void KillClonedProcess(ClonedProcess& process) noexcept {
  if (process.pid <= 0) return;
  if (process.pidfd) {
    (void)sys::pidfd_send_signal(process.pidfd.get(), SIGKILL);
    pollfd polled{process.pidfd.get(), POLLIN, 0};
    while (::poll(&polled, 1, -1) < 0 && errno == EINTR) {
    }
  } else {
    (void)::kill(process.pid, SIGKILL);
  }
  if (process.is_our_child) (void)sys::WaitExit(process.pid);
  process.pid = -1;
  process.pidfd.reset();
}

}  // namespace coracle::runtime
