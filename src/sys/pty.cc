#include "coracle/sys/pty.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace coracle::sys {

Result<Pty> OpenPty(UniqueFd ptmx_fd) {
  const int unlock = 0;
  if (::ioctl(ptmx_fd.get(), TIOCSPTLCK, &unlock) != 0) return KernelError("ioctl(2) TIOCSPTLCK");
  UniqueFd slave(::ioctl(ptmx_fd.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!slave) return KernelError("ioctl(2) TIOCGPTPEER");
  return Pty{std::move(ptmx_fd), std::move(slave)};
}

Status SetWindowSize(int tty_fd, std::uint16_t height, std::uint16_t width) {
  winsize size{};
  size.ws_row = height;
  size.ws_col = width;
  if (::ioctl(tty_fd, TIOCSWINSZ, &size) == 0) return {};
  return KernelError("ioctl(2) TIOCSWINSZ height=" + std::to_string(height) +
                     " width=" + std::to_string(width));
}

Status MakeControllingTerminal(int tty_fd) {
  // EPERM: we lead a session already, one without a terminal since it is our own.
  if (::setsid() < 0 && errno != EPERM) return KernelError("setsid(2)");
  if (::ioctl(tty_fd, TIOCSCTTY, 0) != 0) return KernelError("ioctl(2) TIOCSCTTY");
  return {};
}

}  // namespace coracle::sys
