#include "coracle/sys/netlink.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "coracle/sys/namespaces.h"

namespace coracle::sys {
namespace {

// A thread in an empty network namespace.
template <class Body>
void InNewNetwork(Body body) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to make network namespaces";
  std::thread([&] {
    ASSERT_TRUE(unshare(CLONE_NEWNET).has_value());
    body();
  }).join();
}

TEST(SetLinkUp, BringsLoopbackUp) {
  InNewNetwork([] {
    const auto is_up = [] {
      const std::vector<Link> links = ReadLinks().value();
      const auto lo = std::ranges::find(links, "lo", &Link::name);
      return lo != links.end() && (lo->flags & IFF_UP) != 0;
    };
    EXPECT_FALSE(is_up());
    const Status status = SetLinkUp("lo");
    EXPECT_TRUE(status.has_value()) << status.error().message;
    EXPECT_TRUE(is_up());
  });
}

TEST(SetLinkUp, NamesAnInterfaceThatIsNotThere) {
  InNewNetwork([] {
    const Status status = SetLinkUp("eth7");
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().errnum, ENODEV);
    EXPECT_NE(status.error().message.find("eth7"), std::string::npos);
  });
}

TEST(SetLinkUp, SaysWhatTheKernelRefuses) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to drop its rights";
  std::thread([] {
    ASSERT_TRUE(unshare(CLONE_NEWNET).has_value());
    ASSERT_EQ(::syscall(SYS_setresuid, 65534, 65534, 65534), 0);  // this thread only
    const Status status = SetLinkUp("lo");
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().errnum, EPERM);
  }).join();
}

}  // namespace
}  // namespace coracle::sys
