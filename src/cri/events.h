// Changes of pods and containers, for GetContainerEvents. No event is dropped silently: a reader
// that falls too far behind is cut off, and lists anew.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "api.h"

namespace coracle::cri {

class EventHub {
 public:
  class Subscription {
   public:
    // Waits at most `timeout`.
    std::optional<v1::ContainerEventResponse> Next(std::chrono::milliseconds timeout);
    [[nodiscard]] bool CutOff() const;

   private:
    friend class EventHub;
    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<v1::ContainerEventResponse> queue_;
    bool cut_off_ = false;
  };

  std::shared_ptr<Subscription> Subscribe();
  void Send(const v1::ContainerEventResponse& event);
  [[nodiscard]] bool HasReaders();

 private:
  std::mutex mutex_;
  std::list<std::weak_ptr<Subscription>> readers_;
};

}  // namespace coracle::cri
