#include "exec_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>

namespace coracle::cri {
namespace {

constexpr std::size_t kLimitBytes = 16UL << 20;  // of both streams together: gRPC's message limit
constexpr const char* kSuffix[] = {".out", ".err"};

int MillisecondsUntil(SteadyTime deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000));
}

}  // namespace

std::string ExecOutput::Path(int stream) const { return prefix_ + kSuffix[stream]; }

Result<ExecOutput> ExecOutput::Open(const std::string& prefix) {
  ExecOutput output(prefix);
  for (int stream = 0; stream < 2; ++stream) {
    const std::string path = output.Path(stream);
    if (::mkfifo(path.c_str(), 0600) != 0) return KernelError("mkfifo(3) " + path);
    output.fds_.at(stream) =
        UniqueFd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
    if (!output.fds_.at(stream)) return KernelError("open(2) " + path);
  }
  return output;
}

ExecOutput::~ExecOutput() {
  if (prefix_.empty()) return;
  for (int stream = 0; stream < 2; ++stream) ::unlink(Path(stream).c_str());
}

Result<ExecOutput::Outcome> ExecOutput::Read(int wake_fd, SteadyTime deadline) {
  while (!ended_[0] || !ended_[1] || wake_fd >= 0) {
    pollfd fds[3] = {{.fd = ended_[0] ? -1 : fds_[0].get(), .events = POLLIN, .revents = 0},
                     {.fd = ended_[1] ? -1 : fds_[1].get(), .events = POLLIN, .revents = 0},
                     {.fd = wake_fd, .events = POLLIN, .revents = 0}};
    const int ready = ::poll(fds, 3, MillisecondsUntil(deadline));
    if (ready < 0 && errno != EINTR) return KernelError("poll(2)");
    for (int stream = 0; ready > 0 && stream < 2; ++stream) {
      if (fds[stream].revents != 0) Drain(stream);
    }
    if (ready > 0 && fds[2].revents != 0) return Outcome::kWoken;
    if (std::chrono::steady_clock::now() >= deadline) return Outcome::kDeadline;
  }
  return Outcome::kEnded;
}

void ExecOutput::Drain(int stream) {
  char buffer[64 << 10];
  for (;;) {
    const ssize_t got = ::read(fds_.at(stream).get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      ended_.at(stream) = true;
      return;
    }
    const std::size_t room = kLimitBytes - std::min(kLimitBytes, text_[0].size() + text_[1].size());
    text_.at(stream).append(buffer, std::min(room, static_cast<std::size_t>(got)));
  }
}

}  // namespace coracle::cri
