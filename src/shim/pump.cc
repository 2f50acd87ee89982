#include "pump.h"

#include <sys/epoll.h>

#include <array>

namespace coracle::shim {

Status Pump::Start() {
  return loop_.Watch(ends_.from.get(), EPOLLIN, [this](std::uint32_t) { Read(); });
}

void Pump::Stop() {
  // One of the two is watched, never both.
  if (ends_.from) loop_.Forget(ends_.from.get());
  if (ends_.to) loop_.Forget(ends_.to.get());
  ends_ = {};
}

void Pump::End() {
  Stop();
  if (on_end_) std::exchange(on_end_, {})();
}

void Pump::Read() {
  std::array<char, 8192> buffer;
  ssize_t got;
  do {
    got = read(ends_.from.get(), buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return End();  // EIO: the last process has closed the terminal
  unwritten_.assign(buffer.data(), static_cast<std::size_t>(got));
  Write();
}

void Pump::Write() {
  while (!unwritten_.empty()) {
    const ssize_t written = write(ends_.to.get(), unwritten_.data(), unwritten_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) {
      return WaitToWrite();
    }
    // A reader that is gone must not stop the writer: what nobody wants is thrown away.
    unwritten_.erase(0, written < 0 ? unwritten_.size() : static_cast<std::size_t>(written));
  }
  if (!is_waiting_to_write_) return;
  is_waiting_to_write_ = false;
  loop_.Forget(ends_.to.get());
  if (!Start()) End();
}

void Pump::WaitToWrite() {
  if (is_waiting_to_write_) return;
  is_waiting_to_write_ = true;
  loop_.Forget(ends_.from.get());
  if (!loop_.Watch(ends_.to.get(), EPOLLOUT, [this](std::uint32_t) { Write(); })) End();
}

}  // namespace coracle::shim
