#include "clone.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

namespace coracle::runtime {
namespace {

// As in coracle-shim, whose reaper is quicker than who made the process.
TEST(CloneProcess, HoldsOneThatIsReapedAlready) {
  const auto before = ::signal(SIGCHLD, SIG_IGN);  // reaps
  NamespacesPlan plan;
  plan.clone_flags = CLONE_VFORK;  // goes on when the child has ended
  const auto process = CloneProcess({.namespaces = plan, .opened = {}}, [] { ::_exit(0); });
  ASSERT_TRUE(process.has_value()) << process.error().message;
  pollfd polled{process->pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, -1), 1);
  while (::kill(process->pid, 0) == 0) ::usleep(1000);  // the kernel reaps it a little later
  ::signal(SIGCHLD, before);
}

}  // namespace
}  // namespace coracle::runtime
