// Collects every child that ends: containers, execs, our own workers, and the orphans that come to
// us as subreaper.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "event_loop.h"

namespace coracle::shim {

struct ProcessExit {
  std::uint32_t code = 0;  // 0..255, 128 + signal
  std::uint64_t at_unix_ns = 0;
};

class Reaper {
 public:
  using OnExit = std::function<void(const ProcessExit&)>;

  // Blocks SIGCHLD, which then comes as an event of the loop.
  static Result<std::unique_ptr<Reaper>> Make(EventLoop& loop);
  ~Reaper();

  // Tells when our child `pid` has ended; never from within this call.
  void Expect(pid_t pid, OnExit on_exit);

  void Forget(pid_t pid) { expected_.erase(pid); }

  // While someone makes a child whose pid is not known yet, unexpected exits are kept for Expect.
  void BeginUnknownChild() { ++unknown_children_; }
  void EndUnknownChild();

 private:
  Reaper(EventLoop& loop, UniqueFd signals) : loop_(loop), signals_(std::move(signals)) {}
  void Collect();

  EventLoop& loop_;
  UniqueFd signals_;
  int unknown_children_ = 0;
  std::unordered_map<pid_t, OnExit> expected_;
  std::unordered_map<pid_t, ProcessExit> kept_;
};

}  // namespace coracle::shim
