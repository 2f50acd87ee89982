#include "event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <climits>

namespace coracle::shim {

Result<std::unique_ptr<EventLoop>> EventLoop::Make() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return KernelError("epoll_create1(2)");
  UniqueFd wakeup(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup) return KernelError("eventfd(2)");
  const int wakeup_fd = wakeup.get();
  std::unique_ptr<EventLoop> loop(new EventLoop(std::move(epoll), std::move(wakeup)));
  TRY(loop->Watch(wakeup_fd, EPOLLIN, [self = loop.get()](std::uint32_t) { self->RunPosted(); }));
  return loop;
}

Status EventLoop::Watch(int fd, std::uint32_t events, OnReady on_ready) {
  const std::uint32_t generation = ++generations_;
  epoll_event event{};
  event.events = events;
  event.data.u64 = (std::uint64_t{generation} << 32) | static_cast<std::uint32_t>(fd);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0)
    return KernelError("epoll_ctl(2) EPOLL_CTL_ADD fd=" + std::to_string(fd));
  watched_[fd] = {generation, std::make_shared<OnReady>(std::move(on_ready))};
  return {};
}

Status EventLoop::Change(int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 =
      (std::uint64_t{watched_.at(fd).generation} << 32) | static_cast<std::uint32_t>(fd);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) != 0)
    return KernelError("epoll_ctl(2) EPOLL_CTL_MOD fd=" + std::to_string(fd));
  return {};
}

void EventLoop::Forget(int fd) {
  if (watched_.erase(fd) != 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

EventLoop::Timer EventLoop::At(Clock::time_point when, Work work) {
  const Timer timer{when, ++timers_made_};
  timers_.emplace(timer, std::move(work));
  return timer;
}

void EventLoop::Cancel(const Timer& timer) { timers_.erase(timer); }

void EventLoop::Post(Work work) {
  {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(std::move(work));
  }
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then the loop is awake anyway.
  [[maybe_unused]] const auto written = ::write(wakeup_.get(), &one, sizeof one);
}

int EventLoop::TimeoutMs() const {
  if (timers_.empty()) return -1;
  const auto left = timers_.begin()->first.first - Clock::now();
  // Rounded up: waking too early would only mean to wait again.
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
  return static_cast<int>(std::clamp<std::int64_t>(ms, 0, INT_MAX));
}

void EventLoop::RunTimers() {
  const auto now = Clock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    node.mapped()();
  }
}

void EventLoop::RunPosted() {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(wakeup_.get(), &count, sizeof count);
  std::vector<Work> work;
  {
    const std::scoped_lock lock(mutex_);
    work.swap(posted_);
  }
  for (auto& one : work) one();
}

void EventLoop::Run() {
  std::array<epoll_event, 32> events;
  stopped_ = false;
  while (!stopped_) {
    const int count =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), TimeoutMs());
    for (int i = 0; i < count && !stopped_; ++i) {
      // A callback earlier in this batch may have closed the descriptor, and its number may already
      // belong to another one: the generation tells.
      const auto fd = static_cast<int>(static_cast<std::uint32_t>(events[i].data.u64));
      const auto found = watched_.find(fd);
      if (found == watched_.end() || found->second.generation != events[i].data.u64 >> 32) continue;
      const auto on_ready = found->second.on_ready;
      (*on_ready)(events[i].events);
    }
    RunTimers();
  }
}

}  // namespace coracle::shim
