// The server's end of ttrpc: listens, checks who connects, hands out calls, sends the answers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "coracle/base/result.h"
#include "event_loop.h"
#include "ttrpc.h"

namespace coracle::ttrpc {
class Response;
}

namespace coracle::shim {

// May be called later, once; too late (deadline, lost connection) it does nothing.
using Reply = std::function<void(Result<std::string> payload)>;

struct IncomingCall {
  std::string service, method, payload;
};

class TtrpcServer {
 public:
  enum class Found : std::uint8_t { kMethod, kServiceOnly, kNothing };
  // Answers a known method, now or later, through `reply`; the server answers for unknown ones.
  using Handler = std::function<Found(const IncomingCall& call, Reply reply)>;

  TtrpcServer(EventLoop& loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}
  ~TtrpcServer();

  // `on_last_closed`: whenever nobody is connected any more.
  Status Listen(UniqueFd listening_socket, std::function<void()> on_last_closed = {});
  [[nodiscard]] bool HasConnections() const { return !connections_.empty(); }
  // No new connections.
  void StopListening();

 private:
  struct Connection {
    std::shared_ptr<FrameSocket> socket;
    std::uint32_t last_stream = 0;
    // Calls without answer, and the timer of their deadline.
    std::unordered_map<std::uint32_t, std::optional<EventLoop::Timer>> open;
  };
  void Accept();
  void Received(const std::shared_ptr<Connection>& connection, const Frame& frame);
  void Dispatch(const std::shared_ptr<Connection>& connection, const Frame& frame);
  void Respond(Connection& connection, std::uint32_t stream, const ttrpc::Response& response);
  void Refuse(Connection& connection, std::uint32_t stream, RpcCode code,
              const std::string& message);

  EventLoop& loop_;
  Handler handler_;
  std::function<void()> on_last_closed_;
  UniqueFd listening_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
};

}  // namespace coracle::shim
