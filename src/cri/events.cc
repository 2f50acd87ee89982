#include "events.h"

namespace coracle::cri {
namespace {
constexpr std::size_t kMaxBehind = 4096;
}

std::optional<v1::ContainerEventResponse> EventHub::Subscription::Next(
    std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  if (!arrived_.wait_for(lock, timeout, [&] { return !queue_.empty(); })) return std::nullopt;
  std::optional event(std::move(queue_.front()));
  queue_.pop_front();
  return event;
}

bool EventHub::Subscription::CutOff() const {
  const std::lock_guard lock(mutex_);
  return cut_off_;
}

std::shared_ptr<EventHub::Subscription> EventHub::Subscribe() {
  auto reader = std::make_shared<Subscription>();
  const std::lock_guard lock(mutex_);
  readers_.push_back(reader);
  return reader;
}

bool EventHub::HasReaders() {
  const std::lock_guard lock(mutex_);
  readers_.remove_if([](const auto& reader) { return reader.expired(); });
  return !readers_.empty();
}

void EventHub::Send(const v1::ContainerEventResponse& event) {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : readers_) {
    const auto reader = weak.lock();
    if (reader == nullptr) continue;
    const std::lock_guard reader_lock(reader->mutex_);
    if (reader->queue_.size() >= kMaxBehind) {
      reader->cut_off_ = true;
    } else {
      reader->queue_.push_back(event);
    }
    reader->arrived_.notify_all();
  }
}

}  // namespace coracle::cri
