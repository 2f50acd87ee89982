#include "ttrpc_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>

#include "ttrpc.pb.h"

namespace coracle::shim {
namespace {

// The socket is 0600 in a 0700 directory; this is the second lock on the same door.
bool IsTrustedPeer(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == geteuid() || peer.uid == 0);
}

}  // namespace

TtrpcServer::~TtrpcServer() {
  StopListening();
  for (const auto& connection : connections_) connection->socket->Close();
}

Status TtrpcServer::Listen(UniqueFd listening_socket, std::function<void()> on_last_closed) {
  listening_ = std::move(listening_socket);
  on_last_closed_ = std::move(on_last_closed);
  return loop_.Watch(listening_.get(), EPOLLIN, [this](std::uint32_t) { Accept(); });
}

void TtrpcServer::StopListening() {
  if (!listening_) return;
  loop_.Forget(listening_.get());
  listening_.reset();
}

void TtrpcServer::Accept() {
  UniqueFd socket(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket || !IsTrustedPeer(socket.get())) return;
  auto connection = std::make_shared<Connection>();
  std::weak_ptr<Connection> weak = connection;
  auto on_frame = [this, weak](const Frame& frame) {
    if (const auto alive = weak.lock()) Received(alive, frame);
  };
  auto on_closed = [this, weak] {
    const auto alive = weak.lock();
    if (!alive) return;
    for (const auto& [stream, timer] : alive->open) {
      if (timer) loop_.Cancel(*timer);
    }
    connections_.erase(alive);
    if (connections_.empty() && on_last_closed_) on_last_closed_();
  };
  auto made =
      FrameSocket::Make(loop_, std::move(socket), std::move(on_frame), std::move(on_closed));
  if (!made) return;  // the peer sees a closed connection
  connection->socket = *std::move(made);
  connections_.insert(std::move(connection));
}

void TtrpcServer::Received(const std::shared_ptr<Connection>& connection, const Frame& frame) {
  if (frame.type != FrameType::kRequest) return;
  if (frame.stream % 2 == 0) {
    return Refuse(*connection, frame.stream, RpcCode::kInvalidArgument,
                  "StreamID must be odd for client initiated streams");
  }
  if (frame.stream <= connection->last_stream) {
    return Refuse(*connection, frame.stream, RpcCode::kInvalidArgument,
                  "StreamID cannot be re-used and must increment");
  }
  connection->last_stream = frame.stream;
  if (frame.oversize != 0) {
    return Refuse(*connection, frame.stream, RpcCode::kResourceExhausted,
                  "message length " + std::to_string(frame.oversize) +
                      " exceed maximum message size of " + std::to_string(kMaxFrameData));
  }
  Dispatch(connection, frame);
}

void TtrpcServer::Dispatch(const std::shared_ptr<Connection>& connection, const Frame& frame) {
  const std::uint32_t stream = frame.stream;
  ttrpc::Request request;
  if (!request.ParseFromString(frame.data))
    return Refuse(*connection, stream, RpcCode::kInvalidArgument, "unreadable request");
  std::weak_ptr<Connection> weak = connection;
  auto& timer = connection->open[stream];
  if (request.timeout_nano() > 0) {
    const auto deadline =
        EventLoop::Clock::now() + std::chrono::nanoseconds(request.timeout_nano());
    timer = loop_.At(deadline, [this, weak, stream] {
      if (const auto alive = weak.lock())
        Refuse(*alive, stream, RpcCode::kDeadlineExceeded, "context deadline exceeded");
    });
  }
  auto reply = [this, weak, stream](Result<std::string> payload) {
    const auto alive = weak.lock();
    if (!alive || !alive->open.contains(stream)) return;
    ttrpc::Response response;
    if (payload) {
      response.set_payload(*std::move(payload));
    } else {
      *response.mutable_status() = StatusOf(payload.error());
    }
    Respond(*alive, stream, response);
  };
  const IncomingCall call{std::move(*request.mutable_service()),
                          std::move(*request.mutable_method()),
                          std::move(*request.mutable_payload())};
  switch (handler_(call, std::move(reply))) {
    case Found::kMethod:
      return;
    case Found::kServiceOnly:
      return Refuse(*connection, stream, RpcCode::kUnimplemented, "method " + call.method);
    case Found::kNothing:
      return Refuse(*connection, stream, RpcCode::kUnimplemented, "service " + call.service);
  }
}

void TtrpcServer::Refuse(Connection& connection, std::uint32_t stream, RpcCode code,
                         const std::string& message) {
  ttrpc::Response response;
  response.mutable_status()->set_code(static_cast<std::int32_t>(code));
  response.mutable_status()->set_message(message);
  Respond(connection, stream, response);
}

void TtrpcServer::Respond(Connection& connection, std::uint32_t stream,
                          const ttrpc::Response& response) {
  const auto open = connection.open.find(stream);
  if (open != connection.open.end()) {
    if (open->second) loop_.Cancel(*open->second);
    connection.open.erase(open);
  }
  const std::string data = response.SerializeAsString();
  if (data.size() > kMaxFrameData) {
    return Refuse(connection, stream, RpcCode::kResourceExhausted,
                  "answer of " + std::to_string(data.size()) + " bytes exceeds " +
                      std::to_string(kMaxFrameData));
  }
  connection.socket->Send(stream, FrameType::kResponse, data);
}

}  // namespace coracle::shim
