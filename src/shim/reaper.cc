#include "reaper.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <ctime>
#include <utility>

namespace coracle::shim {
namespace {

std::uint64_t UnixNsNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace

Result<std::unique_ptr<Reaper>> Reaper::Make(EventLoop& loop) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &child, nullptr) != 0) return KernelError("sigprocmask(2)");
  UniqueFd signals(signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) return KernelError("signalfd(2)");
  const int fd = signals.get();
  std::unique_ptr<Reaper> reaper(new Reaper(loop, std::move(signals)));
  TRY(loop.Watch(fd, EPOLLIN, [self = reaper.get()](std::uint32_t) { self->Collect(); }));
  return reaper;
}

Reaper::~Reaper() { loop_.Forget(signals_.get()); }

void Reaper::Expect(pid_t pid, OnExit on_exit) {
  const auto kept = kept_.find(pid);
  if (kept == kept_.end()) {
    expected_[pid] = std::move(on_exit);
    return;
  }
  loop_.Post([on_exit = std::move(on_exit), exit = kept->second] { on_exit(exit); });
  kept_.erase(kept);
}

void Reaper::EndUnknownChild() {
  // Nobody will ask for the rest: their numbers may come back as other processes.
  if (--unknown_children_ == 0) kept_.clear();
}

void Reaper::Collect() {
  signalfd_siginfo info;
  while (read(signals_.get(), &info, sizeof info) == sizeof info) {
    // One signal may stand for many children: waitid below asks for them all.
  }
  for (;;) {
    siginfo_t child{};
    if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG) != 0 || child.si_pid == 0) return;
    ProcessExit exit;
    exit.code = static_cast<std::uint32_t>(child.si_code == CLD_EXITED ? child.si_status
                                                                       : 128 + child.si_status);
    exit.at_unix_ns = UnixNsNow();
    auto node = expected_.extract(child.si_pid);
    if (!node.empty()) {
      node.mapped()(exit);
    } else if (unknown_children_ > 0) {
      kept_[child.si_pid] = exit;
    }
  }
}

}  // namespace coracle::shim
