// Copies what one descriptor has to another, in an event loop: never blocks, holds at most one
// buffer, and stops reading while the other side takes nothing.
#pragma once

#include <functional>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "event_loop.h"

namespace coracle::shim {

class Pump {
 public:
  struct Ends {
    UniqueFd from;  // O_NONBLOCK
    UniqueFd to;    // O_NONBLOCK, or a regular file
  };
  // `on_end` is called once, in the loop, when `from` has ended and all of it is in `to`.
  Pump(EventLoop& loop, Ends ends, std::function<void()> on_end)
      : loop_(loop), ends_(std::move(ends)), on_end_(std::move(on_end)) {}
  ~Pump() { Stop(); }
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  Status Start();
  [[nodiscard]] bool HasEnded() const { return !ends_.from; }

 private:
  void Read();
  void Write();
  void WaitToWrite();
  void Stop();
  void End();

  EventLoop& loop_;
  Ends ends_;
  std::function<void()> on_end_;
  std::string unwritten_;
  bool is_waiting_to_write_ = false;
};

}  // namespace coracle::shim
