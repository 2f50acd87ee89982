#include "log_source.h"

#include <poll.h>
#include <sys/epoll.h>

#include <array>
#include <string_view>

namespace coracle::shim {
namespace {

// One buffer for all sources of the (single) thread: as much as a pipe holds.
constexpr std::size_t kBufferSize = 64UL << 10;
std::array<char, kBufferSize>& Buffer() {
  static std::array<char, kBufferSize> buffer;
  return buffer;
}

// A loud container must not keep the loop from its other work.
constexpr int kReadsPerTurn = 16;

}  // namespace

Status LogSource::Start(UniqueFd from) {
  from_ = std::move(from);
  return loop_.Watch(from_.get(), EPOLLIN, [this](std::uint32_t) {
    for (int i = 0; i < kReadsPerTurn && Read() == Got::kSomething; ++i) {
    }
  });
}

LogSource::Got LogSource::Read() {
  if (!from_) return Got::kNothing;
  auto& buffer = Buffer();
  ssize_t got;
  do {
    got = read(from_.get(), buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return Got::kNothing;
  if (got <= 0) {  // EIO: the last process has closed the terminal
    Close();
    return Got::kNothing;
  }
  log_->Write(stream_, std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  return static_cast<std::size_t>(got) == buffer.size() ? Got::kSomething : Got::kNothing;
}

void LogSource::Drain() {
  // No more than a pipe can hold, so that an orphan that writes on and on cannot keep us here.
  constexpr int kReads = (1 << 20) / 4096;
  for (int i = 0; i < kReads && from_; ++i) {
    pollfd polled{from_.get(), POLLIN, 0};
    if (poll(&polled, 1, 0) <= 0) return;
    (void)Read();
  }
}

void LogSource::Close() {
  if (!from_) return;
  loop_.Forget(from_.get());
  from_.reset();
  log_->End(stream_);
}

}  // namespace coracle::shim
