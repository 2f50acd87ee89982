// Pseudo-terminals: pty(7), devpts, ioctl_tty(2).
#pragma once

#include <cstdint>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::sys {

struct Pty {
  UniqueFd master;
  UniqueFd slave;
};
// `ptmx_fd` is an open ptmx of the wanted devpts; the slave comes from TIOCGPTPEER, never a path.
Result<Pty> OpenPty(UniqueFd ptmx_fd);
Status SetWindowSize(int tty_fd, std::uint16_t height, std::uint16_t width);
// setsid(2) and TIOCSCTTY: makes `tty_fd` the controlling terminal.
Status MakeControllingTerminal(int tty_fd);

}  // namespace coracle::sys
