// The client's end of a ttrpc connection, in an event loop: many calls at once, answers in any
// order.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "coracle/base/result.h"
#include "event_loop.h"
#include "ttrpc.h"

namespace coracle::shim {

struct OutgoingCall {
  std::string service, method, payload;
  std::optional<EventLoop::Clock::time_point> deadline;
};

class TtrpcChannel {
 public:
  using OnReply = std::function<void(Result<std::string>)>;

  // `container_namespace` goes with every call. `on_closed` as FrameSocket's.
  static Result<std::unique_ptr<TtrpcChannel>> Make(EventLoop& loop, UniqueFd socket,
                                                    std::string container_namespace,
                                                    std::function<void()> on_closed);
  ~TtrpcChannel() { Close(); }

  // `on_reply` is called exactly once: the answer, DeadlineExceeded() or ConnectionClosed().
  void Call(const OutgoingCall& call, OnReply on_reply);
  // Ends the connection and with it every pending call.
  void Close();

 private:
  struct Pending {
    OnReply on_reply;
    std::optional<EventLoop::Timer> timer;
  };
  TtrpcChannel(EventLoop& loop, std::string container_namespace)
      : loop_(loop), container_namespace_(std::move(container_namespace)) {}
  void Answered(const Frame& frame);
  void Finish(std::uint32_t stream, Result<std::string> result);

  EventLoop& loop_;
  std::string container_namespace_;
  std::shared_ptr<FrameSocket> socket_;
  std::uint32_t next_stream_ = 1;
  std::unordered_map<std::uint32_t, Pending> pending_;
};

}  // namespace coracle::shim
