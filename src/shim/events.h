// Tells the daemon what happened (containerd.services.events.ttrpc.v1.Events/Forward). One queue in
// the order of the events, one call at a time; nothing in the shim ever waits for it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "event_loop.h"
#include "ttrpc_channel.h"

namespace coracle::shim {

class EventPublisher {
 public:
  // An empty address (of a ttrpc socket): nobody wants to know.
  EventPublisher(EventLoop& loop, std::string address, std::string container_namespace)
      : loop_(loop),
        address_(std::move(address)),
        container_namespace_(std::move(container_namespace)) {}

  // `type` is the full name of the message whose bytes are `value`.
  void Publish(const std::string& topic, const std::string& type, std::string value);

  // Calls back once nothing is left to tell, at once if so.
  void WhenIdle(std::function<void()> on_idle);

 private:
  void SendNext();
  void Answered(Result<std::string> answer);
  Status Connect();

  EventLoop& loop_;
  std::string address_, container_namespace_;
  std::unique_ptr<TtrpcChannel> channel_;
  std::deque<std::string> queue_;  // ForwardRequests; the first one is on its way
  bool is_sending_ = false;
  int attempts_ = 0;
  std::function<void()> on_idle_;
};

}  // namespace coracle::shim
