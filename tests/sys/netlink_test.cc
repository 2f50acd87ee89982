#include "coracle/sys/netlink.h"

#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

LinkAddress Address(std::uint8_t prefix_length, std::string bytes) {
  LinkAddress address;
  address.family = bytes.size() == 4 ? AF_INET : AF_INET6;
  address.prefix_length = prefix_length;
  address.local = address.address = std::move(bytes);
  return address;
}

TEST(Addresses, AreReadAsTheyWereAdded) {
  InNewNetwork([] {
    ASSERT_TRUE(SetLinkUp("lo").has_value());
    const UniqueFd route = OpenRoute().value();
    const int lo = static_cast<int>(::if_nametoindex("lo"));
    const LinkAddress added = Address(24, {10, 9, 0, 1});
    ASSERT_TRUE(AddAddress(route.get(), lo, added).has_value());
    const auto addresses = ReadAddresses(route.get(), lo).value();
    const auto found = std::ranges::find(addresses, added.local, &LinkAddress::local);
    ASSERT_NE(found, addresses.end());
    EXPECT_EQ(AddressText(*found), "10.9.0.1/24");
    EXPECT_NE(found->flags & IFA_F_PERMANENT, 0U);
    EXPECT_TRUE(ReadAddresses(route.get(), lo + 1).value().empty());
    EXPECT_EQ(AddAddress(route.get(), lo, added).error().errnum, EEXIST);
  });
}

TEST(Route, BelongsToTheNamespaceThatItWasOpenedIn) {
  InNewNetwork([] {
    const auto own = [] { return OpenNamespace("/proc/thread-self/ns/net", CLONE_NEWNET).value(); };
    const UniqueFd first = own();
    ASSERT_TRUE(SetLinkUp("lo").has_value());
    ASSERT_TRUE(unshare(CLONE_NEWNET).has_value());
    struct stat before {
    }, after{};
    ASSERT_EQ(::fstat(own().get(), &before), 0);
    const UniqueFd there = OpenRouteIn(first.get()).value();
    ASSERT_EQ(::fstat(own().get(), &after), 0);
    EXPECT_EQ(before.st_ino, after.st_ino);
    EXPECT_NE(ReadLinks(there.get()).value().front().flags & IFF_UP, 0U);
    EXPECT_EQ(ReadLinks().value().front().flags & IFF_UP, 0U);
  });
}

TEST(ChangeLink, NamesWhatItCannotDo) {
  InNewNetwork([] {
    const UniqueFd route = OpenRoute().value();
    const Status status = ChangeLink(route.get(), {.index = 4711, .name = "eth0", .up = true});
    ASSERT_FALSE(status.has_value());
    EXPECT_EQ(status.error().errnum, ENODEV);
    EXPECT_NE(status.error().message.find("index=4711 name=eth0 up"), std::string::npos)
        << status.error().message;
  });
}

}  // namespace
}  // namespace coracle::sys
