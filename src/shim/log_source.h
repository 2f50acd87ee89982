// Reads a pipe or a terminal into a CRI log, in an event loop.
#pragma once

#include <memory>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "cri_log.h"
#include "event_loop.h"

namespace coracle::shim {

class LogSource {
 public:
  LogSource(EventLoop& loop, std::shared_ptr<CriLog> log, LogStream stream)
      : loop_(loop), log_(std::move(log)), stream_(stream) {}
  ~LogSource() { Close(); }
  LogSource(const LogSource&) = delete;
  LogSource& operator=(const LogSource&) = delete;

  Status Start(UniqueFd from);  // O_NONBLOCK
  // Takes everything that is there now, whoever may still write more.
  void Drain();
  [[nodiscard]] bool HasEnded() const { return !from_; }

 private:
  enum class Got : bool { kNothing, kSomething };
  Got Read();
  void Close();

  EventLoop& loop_;
  std::shared_ptr<CriLog> log_;
  LogStream stream_;
  UniqueFd from_;
};

}  // namespace coracle::shim
