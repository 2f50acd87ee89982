#include "ttrpc_channel.h"

#include <utility>

#include "ttrpc.pb.h"

namespace coracle::shim {

Result<std::unique_ptr<TtrpcChannel>> TtrpcChannel::Make(EventLoop& loop, UniqueFd socket,
                                                         std::string container_namespace,
                                                         std::function<void()> on_closed) {
  std::unique_ptr<TtrpcChannel> channel(new TtrpcChannel(loop, std::move(container_namespace)));
  auto closed = [self = channel.get(), tell = std::move(on_closed)] {
    self->Close();
    tell();  // may delete the channel: nothing after this
  };
  auto answered = [self = channel.get()](const Frame& frame) { self->Answered(frame); };
  channel->socket_ =
      TRY(FrameSocket::Make(loop, std::move(socket), std::move(answered), std::move(closed)));
  return channel;
}

void TtrpcChannel::Call(const OutgoingCall& call, OnReply on_reply) {
  if (!socket_->IsOpen()) return on_reply(ConnectionClosed());
  ttrpc::Request request;
  request.set_service(call.service);
  request.set_method(call.method);
  request.set_payload(call.payload);
  auto* metadata = request.add_metadata();
  metadata->set_key("containerd-namespace-ttrpc");
  metadata->set_value(container_namespace_);
  if (call.deadline) {
    const auto left = std::chrono::nanoseconds(*call.deadline - EventLoop::Clock::now()).count();
    if (left <= 0) return on_reply(DeadlineExceeded());
    request.set_timeout_nano(left);
  }
  const std::string data = request.SerializeAsString();
  if (data.size() > kMaxFrameData) {
    return on_reply(Error{Code::kInvalidConfig, 0,
                          call.method + ": message length " + std::to_string(data.size()) +
                              " exceeds the " + std::to_string(kMaxFrameData) + " of ttrpc"});
  }
  const std::uint32_t stream = std::exchange(next_stream_, next_stream_ + 2);
  Pending& pending = pending_[stream];
  pending.on_reply = std::move(on_reply);
  if (call.deadline) {
    pending.timer =
        loop_.At(*call.deadline, [this, stream] { Finish(stream, DeadlineExceeded()); });
  }
  socket_->Send(stream, FrameType::kRequest, data);
}

void TtrpcChannel::Answered(const Frame& frame) {
  if (frame.type != FrameType::kResponse) return;
  if (frame.oversize != 0) {
    return Finish(frame.stream, Error{Code::kProtocol, 0,
                                      "ttrpc: answer of " + std::to_string(frame.oversize) +
                                          " bytes exceeds " + std::to_string(kMaxFrameData)});
  }
  ttrpc::Response response;
  if (!response.ParseFromString(frame.data))
    return Finish(frame.stream, Error{Code::kProtocol, 0, "ttrpc: unreadable answer"});
  if (response.has_status() && response.status().code() != 0)
    return Finish(frame.stream, ErrorOf(response.status()));
  Finish(frame.stream, std::move(*response.mutable_payload()));
}

void TtrpcChannel::Finish(std::uint32_t stream, Result<std::string> result) {
  auto node = pending_.extract(stream);  // an answer after its deadline finds nothing
  if (node.empty()) return;
  if (node.mapped().timer) loop_.Cancel(*node.mapped().timer);
  node.mapped().on_reply(std::move(result));
}

void TtrpcChannel::Close() {
  if (socket_) socket_->Close();
  while (!pending_.empty()) Finish(pending_.begin()->first, ConnectionClosed());
}

}  // namespace coracle::shim
