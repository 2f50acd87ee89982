#include "ttrpc.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "shim.pb.h"
#include "ttrpc.pb.h"

namespace coracle::shim {
namespace {

constexpr std::string_view kErrorType = "coracle.shim.v1.ErrorDetails";

RpcCode RpcCodeOf(const Error& error) {
  switch (error.code) {
    case Code::kInvalidConfig:
      return RpcCode::kInvalidArgument;
    case Code::kNotFound:
      return RpcCode::kNotFound;
    case Code::kAlreadyExists:
      return RpcCode::kAlreadyExists;
    case Code::kWrongState:
      return RpcCode::kFailedPrecondition;
    case Code::kUnsupported:  // not kUnimplemented: containerd would try an older Task service
    case Code::kKernel:
      return RpcCode::kUnknown;
    case Code::kProtocol:
      return RpcCode::kInternal;
  }
  return RpcCode::kUnknown;
}

Code CodeOf(RpcCode code) {
  switch (code) {
    case RpcCode::kInvalidArgument:
      return Code::kInvalidConfig;
    case RpcCode::kNotFound:
      return Code::kNotFound;
    case RpcCode::kAlreadyExists:
      return Code::kAlreadyExists;
    case RpcCode::kFailedPrecondition:
      return Code::kWrongState;
    case RpcCode::kUnimplemented:
      return Code::kUnsupported;
    default:
      return Code::kKernel;
  }
}

std::uint32_t ReadBigEndian(const char* bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes, sizeof value);
  return ntohl(value);
}

void AppendBigEndian(std::string& out, std::uint32_t value) {
  value = htonl(value);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

void AppendFrame(std::string& out, std::uint32_t stream, FrameType type, std::string_view data) {
  AppendBigEndian(out, static_cast<std::uint32_t>(data.size()));
  AppendBigEndian(out, stream);
  out.push_back(static_cast<char>(type));
  out.push_back('\0');  // flags: a unary call has none
  out.append(data);
}

std::optional<Frame> FrameReader::Next() {
  if (skip_ > 0) {
    const std::size_t now = std::min(skip_, buffer_.size());
    buffer_.erase(0, now);
    skip_ -= now;
    if (skip_ > 0) return std::nullopt;
    return std::exchange(skipped_, {});
  }
  if (buffer_.size() < kFrameHeaderSize) return std::nullopt;
  const std::uint32_t length = ReadBigEndian(buffer_.data());
  Frame frame{.stream = ReadBigEndian(buffer_.data() + 4),
              .type = static_cast<FrameType>(buffer_[8]),
              .flags = static_cast<std::uint8_t>(buffer_[9])};
  if (length > kMaxFrameData) {
    buffer_.erase(0, kFrameHeaderSize);
    frame.oversize = length;
    skipped_ = std::move(frame);
    skip_ = length;
    return Next();
  }
  if (buffer_.size() < kFrameHeaderSize + length) return std::nullopt;
  frame.data.assign(buffer_, kFrameHeaderSize, length);
  buffer_.erase(0, kFrameHeaderSize + length);
  if (buffer_.empty()) buffer_.shrink_to_fit();  // a large message must not cost for ever
  return frame;
}

ttrpc::Status StatusOf(const Error& error) {
  coracle::shim::v1::ErrorDetails details;
  details.set_code(static_cast<std::uint32_t>(error.code));
  details.set_errnum(error.errnum);
  details.set_step(error.step);
  ttrpc::Status status;
  status.set_code(static_cast<std::int32_t>(RpcCodeOf(error)));
  status.set_message(error.message);
  auto* any = status.add_details();
  any->set_type_url(std::string(kErrorType));
  any->set_value(details.SerializeAsString());
  return status;
}

Error ErrorOf(const ttrpc::Status& status) {
  for (const auto& any : status.details()) {
    coracle::shim::v1::ErrorDetails details;
    if (any.type_url() != kErrorType || !details.ParseFromString(any.value())) continue;
    if (details.code() > static_cast<std::uint32_t>(Code::kProtocol)) continue;
    return {static_cast<Code>(details.code()), details.errnum(), status.message(), details.step()};
  }
  const auto code = static_cast<RpcCode>(status.code());
  if (code == RpcCode::kDeadlineExceeded) return DeadlineExceeded();
  return {CodeOf(code), 0, status.message()};
}

Error ConnectionClosed() { return {Code::kProtocol, 0, "ttrpc: closed"}; }

Error DeadlineExceeded() { return {Code::kKernel, ETIMEDOUT, "context deadline exceeded"}; }

bool IsUnimplemented(const Error& error) {
  // Our own kUnsupported never becomes RpcCode::kUnimplemented, so it always has details and text.
  return error.code == Code::kUnsupported &&
         (error.message.starts_with("service ") || error.message.starts_with("method "));
}

Result<std::shared_ptr<FrameSocket>> FrameSocket::Make(EventLoop& loop, UniqueFd socket,
                                                       OnFrame on_frame, OnClosed on_closed) {
  const int fd = socket.get();
  auto self = std::make_shared<FrameSocket>(loop, std::move(socket), std::move(on_frame),
                                            std::move(on_closed));
  // Weak: a socket that its owner dropped must not live on in the loop.
  auto ready = [weak = std::weak_ptr(self)](std::uint32_t events) {
    if (const auto socket_still_there = weak.lock()) socket_still_there->Ready(events);
  };
  TRY(loop.Watch(fd, EPOLLIN, std::move(ready)));
  return self;
}

void FrameSocket::Close() {
  if (!socket_) return;
  loop_.Forget(socket_.get());
  socket_.reset();
  unsent_.clear();
}

void FrameSocket::Lost() {
  if (!socket_) return;
  Close();
  on_closed_();
}

void FrameSocket::Ready(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) Write();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Read();
}

void FrameSocket::Read() {
  const auto keep = shared_from_this();  // a frame's handler may drop the last owner
  std::array<char, 8192> bytes;
  while (socket_) {
    const ssize_t got = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return Lost();
    reader_.Feed({bytes.data(), static_cast<std::size_t>(got)});
    while (socket_) {
      auto frame = reader_.Next();
      if (!frame) break;
      on_frame_(*std::move(frame));
    }
    if (static_cast<std::size_t>(got) < bytes.size()) return;  // most often everything came at once
  }
}

void FrameSocket::Send(std::uint32_t stream, FrameType type, std::string_view data) {
  if (!socket_) return;
  AppendFrame(unsent_, stream, type, data);
  if (!wants_write_) Write();
}

void FrameSocket::Write() {
  while (socket_ && !unsent_.empty()) {
    const ssize_t sent =
        ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) break;  // EAGAIN, or an end that Read() will see
    unsent_.erase(0, static_cast<std::size_t>(sent));
  }
  if (!socket_) return;
  if (unsent_.empty()) unsent_.shrink_to_fit();
  const bool wants_write = !unsent_.empty();
  if (wants_write == wants_write_) return;
  wants_write_ = wants_write;
  // Cannot fail: the descriptor is ours and watched.
  (void)loop_.Change(socket_.get(), wants_write ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

}  // namespace coracle::shim
