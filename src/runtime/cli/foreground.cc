#include "foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "coracle/base/file.h"
#include "coracle/sys/process.h"
#include "coracle/sys/pty.h"
#include "coracle/sys/socket.h"

namespace coracle::runtime::cli {
namespace {

constexpr std::size_t kCopySize = 16384;  // bytes

Status MakeNonBlocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    return KernelError("fcntl(2) O_NONBLOCK");
  return {};
}

}  // namespace

Foreground::~Foreground() {
  if (saved_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &*saved_);
}

Status Foreground::Prepare() {
  sigset_t all;
  sigfillset(&all);
  ::sigprocmask(SIG_BLOCK, &all, nullptr);
  signals_ = UniqueFd(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return KernelError("signalfd(2)");
  auto [near, far] = TRY(sys::SeqpacketPair());
  console_near_ = std::move(near);
  console_far_ = std::move(far);
  return {};
}

Status Foreground::Attach() {
  console_far_.reset();
  // The process sends the master while it is set up, so now it is here or will never be. Without
  // waiting: a process that has no terminal still holds the other end until its execve(2).
  TRY(MakeNonBlocking(console_near_.get()));
  auto received = sys::ReceiveFds(console_near_.get());
  console_near_.reset();
  if (!received.has_value()) {
    if (received.error().errnum == EAGAIN) return {};
    return Within("receive the terminal", std::move(received).error());
  }
  if (received->fds.empty()) return {};
  master_ = std::move(received->fds.front());
  TRY(MakeNonBlocking(master_.get()));
  return MakeRaw();
}

Status Foreground::MakeRaw() {
  termios now{};
  if (::tcgetattr(STDIN_FILENO, &now) != 0) return {};  // not a terminal: bytes are only copied
  CopyWindowSize();
  saved_ = now;
  ::cfmakeraw(&now);
  if (::tcsetattr(STDIN_FILENO, TCSANOW, &now) != 0) return KernelError("tcsetattr(3) raw");
  return {};
}

void Foreground::CopyWindowSize() const {
  winsize size{};
  // Whoever asked for a size in config.json and has no window keeps the former.
  if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0)
    (void)sys::SetWindowSize(master_.get(), size.ws_row, size.ws_col);
}

Status Foreground::PassSignals(int pidfd) {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) continue;
    if (signal == SIGWINCH && master_) {
      CopyWindowSize();
      continue;
    }
    auto sent = sys::pidfd_send_signal(pidfd, signal);
    if (!sent.has_value() && sent.error().code != Code::kNotFound) return sent;
  }
  return {};
}

// All children: as subreaper we get those of the container, too.
std::optional<int> Foreground::Reap(pid_t pid) {
  std::optional<int> code;
  int status = 0;
  for (pid_t child; (child = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    if (child == pid) code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  return code;
}

void Foreground::ReadInput() {
  std::array<char, kCopySize> buffer;
  const ssize_t size = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (size > 0) {
    input_.assign(buffer.data(), static_cast<std::size_t>(size));
  } else if (size == 0 || (errno != EINTR && errno != EAGAIN)) {
    input_open_ = false;
  }
}

void Foreground::WriteInput() {
  const ssize_t size = ::write(master_.get(), input_.data(), input_.size());
  if (size > 0) input_.erase(0, static_cast<std::size_t>(size));
  if (size < 0 && errno != EAGAIN && errno != EINTR) input_.clear();  // nobody will read it
}

// False when there is nothing more for now (EAGAIN) or ever (EIO: no slave is open).
bool Foreground::CopyOutput() {
  std::array<char, kCopySize> buffer;
  const ssize_t size = ::read(master_.get(), buffer.data(), buffer.size());
  if (size <= 0) {
    if (size < 0 && errno != EAGAIN && errno != EINTR) master_.reset();
    return false;
  }
  // A caller who has closed the other end of our output loses it, as with any program.
  (void)WriteAll(STDOUT_FILENO, {buffer.data(), static_cast<std::size_t>(size)}, "stdout");
  return true;
}

Result<int> Foreground::Poll(pid_t pid, int pidfd, Watch& watch) {
  for (;;) {
    std::array<pollfd, 4> fds = {pollfd{signals_.get(), POLLIN, 0}, pollfd{-1, 0, 0},
                                 pollfd{-1, 0, 0}, pollfd{watch.fd, POLLIN, 0}};
    if (master_) {
      fds[1] = {master_.get(), static_cast<short>(POLLIN | (input_.empty() ? 0 : POLLOUT)), 0};
      if (input_open_ && input_.empty()) fds[2] = {STDIN_FILENO, POLLIN, 0};
    }
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return KernelError("poll(2)");
    if ((fds[2].revents & (POLLIN | POLLHUP | POLLERR)) != 0) ReadInput();
    if ((fds[1].revents & POLLOUT) != 0) WriteInput();
    if ((fds[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) CopyOutput();
    if ((fds[3].revents & POLLIN) != 0 && !watch.readable()) watch.fd = -1;
    if ((fds[0].revents & POLLIN) != 0) TRY(PassSignals(pidfd));
    if (const auto code = Reap(pid)) return *code;
  }
}

Result<int> Foreground::Wait(pid_t pid, Watch watch) {
  const UniqueFd pidfd = TRY(sys::pidfd_open(pid));
  const int code = TRY(Poll(pid, pidfd.get(), watch));
  while (master_ && CopyOutput()) {
  }
  return code;
}

}  // namespace coracle::runtime::cli
