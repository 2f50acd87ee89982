#include "coracle/sys/pty.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "coracle/base/file.h"

namespace coracle::sys {
namespace {

TEST(OpenPty, ConnectsMasterAndSlave) {
  auto pty = OpenPty(UniqueFd(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)));
  ASSERT_TRUE(pty.has_value()) << pty.error().message;
  ASSERT_TRUE(SetWindowSize(pty->master.get(), 25, 80).has_value());
  winsize size{};
  ASSERT_EQ(::ioctl(pty->slave.get(), TIOCGWINSZ, &size), 0);
  EXPECT_EQ(size.ws_row, 25);
  EXPECT_EQ(size.ws_col, 80);
  ASSERT_TRUE(WriteAll(pty->slave.get(), "x", "slave").has_value());
  char c = 0;
  EXPECT_EQ(::read(pty->master.get(), &c, 1), 1);
  EXPECT_EQ(c, 'x');
}

TEST(MakeControllingTerminal, GivesTheSessionItsTerminal) {
  auto pty = OpenPty(UniqueFd(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)));
  ASSERT_TRUE(pty.has_value()) << pty.error().message;
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!MakeControllingTerminal(pty->slave.get()).has_value()) ::_exit(1);
    ::_exit(::open("/dev/tty", O_RDWR) >= 0 ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

TEST(OpenPty, RefusesWhatIsNoPtmx) {
  EXPECT_FALSE(OpenPty(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))).has_value());
}

}  // namespace
}  // namespace coracle::sys
