#include "sync.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "coracle/sys/socket.h"

namespace coracle::runtime {
namespace {

std::string_view Bytes(const SyncMessage& message) {
  return {reinterpret_cast<const char*>(&message), sizeof message};
}

Status Send(int socket, const SyncMessage& message, int fd = -1) {
  return sys::SendFds(socket, Bytes(message), fd < 0 ? std::vector<int>{} : std::vector{fd});
}

// Leaves the terminating zero that `to` was born with.
template <std::size_t kSize>
void Copy(const std::string& from, std::array<char, kSize>& to) {
  std::memcpy(to.data(), from.data(), std::min(from.size(), kSize - 1));
}

struct Packet {
  bool end = false;
  SyncMessage message;
  UniqueFd fd;
};

Error ErrorOf(const SyncMessage& message) {
  return {message.code, message.errnum, message.text.data(), message.step.data()};
}

Error Unexpected() {
  return {Code::kProtocol, 0, "unexpected message between runtime and container process"};
}

Result<SyncMessage> Parse(std::string_view bytes) {
  SyncMessage message;
  if (bytes.size() != sizeof message) return Unexpected();
  std::memcpy(&message, bytes.data(), sizeof message);
  message.step.back() = message.text.back() = '\0';
  return message;
}

Result<Packet> Receive(int socket) {
  Result<sys::Received> received = sys::ReceiveFds(socket, sizeof(SyncMessage));
  // The other process died with our message unread. That is told once; what it said before is
  // still there.
  if (!received.has_value() && received.error().errnum == ECONNRESET)
    received = sys::ReceiveFds(socket, sizeof(SyncMessage));
  if (!received.has_value()) return received.error();
  Packet packet;
  packet.end = received->data.empty();
  if (packet.end) return packet;
  packet.message = TRY(Parse(received->data));
  if (!received->fds.empty()) packet.fd = std::move(received->fds.front());
  if (packet.message.kind == SyncKind::kFailed) return ErrorOf(packet.message);
  return packet;
}

}  // namespace

Status SendSync(int socket, SyncKind kind, int fd) {
  SyncMessage message;
  message.kind = kind;
  return Send(socket, message, fd);
}

Status SendFailure(int socket, const Error& error) {
  SyncMessage message;
  message.kind = SyncKind::kFailed;
  message.code = error.code;
  message.errnum = error.errnum;
  Copy(error.step, message.step);
  Copy(error.message, message.text);
  return Send(socket, message);
}

Result<UniqueFd> ExpectSync(int socket, SyncKind expected) {
  Packet packet = TRY(Receive(socket));
  if (packet.end) return Error{Code::kProtocol, 0, "the other process died without a word"};
  if (packet.message.kind != expected) return Unexpected();
  return std::move(packet.fd);
}

Result<UniqueFd> AwaitExecve(int socket) {
  Packet packet = TRY(Receive(socket));
  if (packet.end) return UniqueFd();
  if (packet.message.kind != SyncKind::kSeccompListener || !packet.fd) return Unexpected();
  return std::move(packet.fd);
}

Error ErrorInPacket(std::string_view packet) {
  const Result<SyncMessage> message = Parse(packet);
  return message.has_value() ? ErrorOf(*message) : message.error();
}

Error LastWordOf(int socket, Error ours) {
  char peeked = 0;
  if (::recv(socket, &peeked, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != ECONNRESET) return ours;
  const Result<Packet> word = Receive(socket);
  return word.has_value() || word.error().step.empty() ? ours : word.error();
}

}  // namespace coracle::runtime
