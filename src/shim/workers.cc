#include "workers.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "coracle/sys/process.h"
#include "coracle/sys/socket.h"
#include "ttrpc.h"
#include "ttrpc.pb.h"

namespace coracle::shim {
namespace {

constexpr int kResultFd = 3;
// An error's text, with a program's whole PATH or a mount's data in it, stays far below this.
constexpr std::size_t kMaxResult = 128UL << 10;

// Our own 0, 1 and 2 are /dev/null: they are what stays where `stdio` has -1. Whatever is at 3 and
// 4 now is in the way of the copies, so these go through numbers above.
bool ArrangeDescriptors(const Workers::Descriptors& descriptors, int result) {
  constexpr int kAbove = 5;
  for (int fd = 0; fd < 3; ++fd) {
    const int from = descriptors.stdio[static_cast<std::size_t>(fd)];
    if (from >= 0 && dup2(from, fd) < 0) return false;
  }
  const int result_above = fcntl(result, F_DUPFD, kAbove);
  const int console = descriptors.console;
  const int console_above = console < 0 ? -1 : fcntl(console, F_DUPFD, kAbove);
  if (result_above < 0 || (console >= 0 && console_above < 0)) return false;
  if (dup3(result_above, kResultFd, O_CLOEXEC) < 0) return false;
  if (console < 0) return close_range(kResultFd + 1, ~0U, 0) == 0;
  if (dup3(console_above, Workers::kConsoleFd, O_CLOEXEC) < 0) return false;
  return close_range(Workers::kConsoleFd + 1, ~0U, 0) == 0;
}

// A leading byte, since a packet of no bytes looks like the end of the connection.
std::string Encode(Result<std::string> result) {
  ttrpc::Response response;
  if (result) {
    response.set_payload(*std::move(result));
  } else {
    *response.mutable_status() = StatusOf(result.error());
  }
  return "R" + response.SerializeAsString();
}

Result<std::string> Decode(const std::string& bytes) {
  ttrpc::Response response;
  if (!response.ParseFromString(bytes.substr(1)))
    return Error{Code::kProtocol, 0, "the worker's result is unreadable"};
  if (response.has_status()) return ErrorOf(response.status());
  return std::move(*response.mutable_payload());
}

[[noreturn]] void RunInChild(const Workers::Work& work, const Workers::Descriptors& descriptors,
                             int result, pid_t shim) noexcept {
  sys::ResetSignals();
  // Without the shim there is nobody to take the result: what is half done is for `delete` to undo,
  // and must not go on beside it. The shim may have died before this takes effect.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != shim) _exit(1);
  if (!ArrangeDescriptors(descriptors, result)) _exit(1);
  const std::string bytes = Encode(work());
  (void)!send(kResultFd, bytes.data(), std::min(bytes.size(), kMaxResult), MSG_NOSIGNAL);
  _exit(0);
}

}  // namespace

void Workers::Run(const Descriptors& descriptors, const Work& work, OnDone on_done) {
  auto pair = sys::SeqpacketPair();
  if (!pair) return on_done(std::move(pair).error());
  auto& [ours, theirs] = *pair;
  const pid_t shim = getpid();
  const pid_t pid = fork();
  if (pid < 0) return on_done(KernelError("fork(2)"));
  if (pid == 0) RunInChild(work, descriptors, theirs.get(), shim);

  const auto job = std::make_shared<Job>(std::move(ours), std::move(on_done));
  reaper_.BeginUnknownChild();
  reaper_.Expect(pid, [this, job](const ProcessExit& exit) {
    ReceiveResult(job);  // its last word may still be on the way to us
    Finish(job,
           Error{Code::kKernel, 0,
                 "the worker ended without a result: exit status " + std::to_string(exit.code)});
  });
  auto watched =
      loop_.Watch(job->result.get(), EPOLLIN, [this, job](std::uint32_t) { ReceiveResult(job); });
  if (!watched) Finish(job, std::move(watched).error());
}

void Workers::ReceiveResult(const std::shared_ptr<Job>& job) {
  if (!job->result) return;
  std::string bytes(kMaxResult, '\0');
  ssize_t got;
  do {
    got = recv(job->result.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  // At the end without a word, SIGCHLD follows and tells.
  if (got <= 0) return loop_.Forget(job->result.get());
  bytes.resize(static_cast<std::size_t>(got));
  Finish(job, Decode(bytes));
}

void Workers::Finish(const std::shared_ptr<Job>& job, Result<std::string> result) {
  if (!job->result) return;
  loop_.Forget(job->result.get());
  job->result.reset();
  job->on_done(std::move(result));
  reaper_.EndUnknownChild();
}

}  // namespace coracle::shim
