// ttrpc, the little RPC between containerd and its shims: Protobuf messages in frames over a unix
// socket. A frame is a 10-byte header (length, stream id: 32 bits each, big-endian; type; flags)
// and its data. Every service here is unary: one request, one response, same stream id.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "event_loop.h"

namespace coracle::ttrpc {
class Status;
}

namespace coracle::shim {

inline constexpr std::size_t kFrameHeaderSize = 10;
inline constexpr std::size_t kMaxFrameData = 4UL << 20;

enum class FrameType : std::uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

struct Frame {
  std::uint32_t stream = 0;
  FrameType type = FrameType::kRequest;
  std::uint8_t flags = 0;
  std::string data = {};
  // More than kMaxFrameData: its data was thrown away; this is how much it had. Else 0.
  std::uint32_t oversize = 0;
};

// Appends one frame to `out`. `data` is at most kMaxFrameData.
void AppendFrame(std::string& out, std::uint32_t stream, FrameType type, std::string_view data);

// Cuts a byte stream into frames. Holds no more than one frame.
class FrameReader {
 public:
  void Feed(std::string_view bytes) { buffer_.append(bytes); }
  std::optional<Frame> Next();

 private:
  std::string buffer_;
  std::size_t skip_ = 0;  // bytes of an oversize frame that are still to come
  Frame skipped_;
};

// google.rpc codes, as far as ttrpc peers use them.
enum class RpcCode : std::int32_t {
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
};

// Our Error travels whole, in the details; another peer's status becomes the nearest Error.
ttrpc::Status StatusOf(const Error& error);
Error ErrorOf(const ttrpc::Status& status);

Error ConnectionClosed();  // kProtocol "ttrpc: closed"
Error DeadlineExceeded();  // kKernel ETIMEDOUT
bool IsUnimplemented(const Error& error);

// A connected stream socket in an event loop, one end of a connection: frames in, frames out.
// Never blocks; what the peer does not take at once waits in memory.
class FrameSocket : public std::enable_shared_from_this<FrameSocket> {
 public:
  using OnFrame = std::function<void(Frame)>;
  using OnClosed = std::function<void()>;

  // `on_closed` is called once, from the loop, when the peer is gone; not after Close().
  static Result<std::shared_ptr<FrameSocket>> Make(EventLoop& loop, UniqueFd socket,
                                                   OnFrame on_frame, OnClosed on_closed);
  FrameSocket(EventLoop& loop, UniqueFd socket, OnFrame on_frame, OnClosed on_closed)
      : loop_(loop),
        socket_(std::move(socket)),
        on_frame_(std::move(on_frame)),
        on_closed_(std::move(on_closed)) {}
  ~FrameSocket() { Close(); }
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;

  void Send(std::uint32_t stream, FrameType type, std::string_view data);
  void Close();
  [[nodiscard]] bool IsOpen() const { return static_cast<bool>(socket_); }

 private:
  void Ready(std::uint32_t events);
  void Read();
  void Write();
  void Lost();

  EventLoop& loop_;
  UniqueFd socket_;
  OnFrame on_frame_;
  OnClosed on_closed_;
  FrameReader reader_;
  std::string unsent_;
  bool wants_write_ = false;
};

}  // namespace coracle::shim
