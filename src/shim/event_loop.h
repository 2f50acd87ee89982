// One thread's epoll(7) loop: descriptors, timers, and work posted by other threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::shim {

class EventLoop {
 public:
  using Clock = std::chrono::steady_clock;
  using OnReady = std::function<void(std::uint32_t events)>;
  using Work = std::function<void()>;
  using Timer = std::pair<Clock::time_point, std::uint64_t>;

  static Result<std::unique_ptr<EventLoop>> Make();

  // `fd` stays the caller's; Forget before closing it. A callback may forget any descriptor.
  Status Watch(int fd, std::uint32_t events, OnReady on_ready);
  Status Change(int fd, std::uint32_t events);
  void Forget(int fd);

  Timer At(Clock::time_point when, Work work);
  void Cancel(const Timer& timer);

  // The only member that other threads may call. Runs in the loop, in the order of posting.
  void Post(Work work);

  // Until Stop(), which a callback calls.
  void Run();
  void Stop() { stopped_ = true; }

 private:
  struct Watched {
    std::uint32_t generation;
    std::shared_ptr<OnReady> on_ready;
  };
  EventLoop(UniqueFd epoll, UniqueFd wakeup)
      : epoll_(std::move(epoll)), wakeup_(std::move(wakeup)) {}
  int TimeoutMs() const;
  void RunTimers();
  void RunPosted();

  UniqueFd epoll_, wakeup_;
  bool stopped_ = false;
  std::uint32_t generations_ = 0;
  std::unordered_map<int, Watched> watched_;
  std::uint64_t timers_made_ = 0;
  std::map<Timer, Work> timers_;
  std::mutex mutex_;
  std::vector<Work> posted_;
};

}  // namespace coracle::shim
