// Runs one piece of work in a short-lived forked child: the runtime library reads JSON, waits for
// processes and joins namespaces, and none of that may cost the shim memory or time.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "event_loop.h"
#include "reaper.h"

namespace coracle::shim {

class Workers {
 public:
  using Work = std::function<Result<std::string>()>;
  using OnDone = std::function<void(Result<std::string>)>;

  Workers(EventLoop& loop, Reaper& reaper) : loop_(loop), reaper_(reaper) {}

  // What the child gets of our descriptors, and nothing else: no container process shall ever hold
  // a connection or a FIFO of the shim.
  struct Descriptors {
    std::array<int, 3> stdio = {-1, -1, -1};  // its 0, 1 and 2; -1: /dev/null
    int console = -1;                         // its kConsoleFd
  };
  static constexpr int kConsoleFd = 4;

  // `work` runs in the child; its result comes to `on_done` in the loop. A child that the work
  // makes for us (CLONE_PARENT) is found by Reaper::Expect in `on_done`.
  void Run(const Descriptors& descriptors, const Work& work, OnDone on_done);

 private:
  struct Job {
    UniqueFd result;
    OnDone on_done;
  };
  void Finish(const std::shared_ptr<Job>& job, Result<std::string> result);
  void ReceiveResult(const std::shared_ptr<Job>& job);

  EventLoop& loop_;
  Reaper& reaper_;
};

}  // namespace coracle::shim
