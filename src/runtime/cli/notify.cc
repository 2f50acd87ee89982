#include "notify.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "coracle/sys/process.h"
#include "coracle/sys/socket.h"

namespace coracle::runtime::cli {
namespace {

constexpr std::size_t kMaxMessage = 4096;  // as systemd reads
constexpr int kBarrierTimeoutMs = 30'000;

std::string CallersSocket() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  return path == nullptr ? "" : path;
}

// sd_notify_barrier(3): systemd closes the descriptor when it has read all that came before, so
// that we still exist while it looks at the sender. One that does not know it lets us wait.
Status Barrier(int socket) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return KernelError("pipe2(2)");
  const UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  TRY(sys::SendFds(socket, "BARRIER=1", {writing.get()}));
  writing.reset();
  pollfd closed{reading.get(), 0, 0};
  while (::poll(&closed, 1, kBarrierTimeoutMs) < 0 && errno == EINTR) {
  }
  return {};
}

// The line "READY=1" of a message that may have others, which runc does not pass on either.
std::string_view ReadyLine(std::string_view message) {
  while (!message.empty()) {
    const std::string_view line = message.substr(0, message.find('\n'));
    if (line.starts_with("READY=")) return line;
    message.remove_prefix(std::min(message.size(), line.size() + 1));
  }
  return "";
}

}  // namespace

bool Notify::IsWanted() { return !CallersSocket().empty(); }

Status Notify::Open(const Runtime& runtime, const std::string& id) {
  const std::string directory = NotifyDirectory(runtime, id);
  if (!IsWanted() || ::access(directory.c_str(), F_OK) != 0) return {};
  const std::string path = directory + "/notify.sock";
  ::unlink(path.c_str());  // of a verb that has died
  socket_ = TRY(sys::ListenUnix(path, 0777, SOCK_DGRAM));
  if (::chmod(path.c_str(), 0777) != 0) return KernelError("chmod(2) path=" + path);
  return {};
}

Result<bool> Notify::Take(pid_t main_pid) const {
  std::array<char, kMaxMessage> buffer;
  const ssize_t size = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0)
    return errno == EAGAIN || errno == EINTR ? Result<bool>(false)
                                             : KernelError("recv(2) notify.sock");
  const auto ready = ReadyLine({buffer.data(), static_cast<std::size_t>(size)});
  if (ready.empty()) return false;
  const UniqueFd caller = TRY(sys::ConnectUnix(CallersSocket(), SOCK_DGRAM));
  TRY(sys::SendFds(caller.get(), std::string(ready) + "\n", {}));
  TRY(sys::SendFds(caller.get(), "MAINPID=" + std::to_string(main_pid) + "\n", {}));
  TRY(Barrier(caller.get()));
  return true;
}

Status Notify::AwaitReady(pid_t pid) const {
  if (fd() < 0) return {};
  const auto pidfd = sys::pidfd_open(pid);
  if (!pidfd.has_value()) return {};  // it has ended: whoever wants to know asks for its state
  for (;;) {
    std::array<pollfd, 2> fds = {pollfd{fd(), POLLIN, 0}, pollfd{pidfd->get(), POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return KernelError("poll(2)");
    if ((fds[0].revents & POLLIN) != 0 && TRY(Take(pid))) return {};
    if ((fds[1].revents & POLLIN) != 0 && (fds[0].revents & POLLIN) == 0) return {};
  }
}

}  // namespace coracle::runtime::cli
