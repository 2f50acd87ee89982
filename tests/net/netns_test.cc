#include "coracle/net/netns.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "coracle/base/file.h"
#include "coracle/base/unique_fd.h"
#include "coracle/sys/mountinfo.h"
#include "coracle/sys/namespaces.h"
#include "support/temp_dir.h"

namespace coracle::net {
namespace {

ino_t Inode(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

// Runs `body` on a thread inside the namespace.
template <class Body>
void Inside(const std::string& path, std::uint64_t flag, Body body) {
  std::thread([&] {
    const Result<UniqueFd> fd = sys::OpenNamespace(path, flag);
    ASSERT_TRUE(fd.has_value()) << fd.error().message;
    ASSERT_TRUE(sys::setns(fd->get(), flag).has_value());
    body();
  }).join();
}

class NetnsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make namespaces";
    request_ = {.network_path = dir_.path() + "/net",
                .ipc_path = dir_.path() + "/ipc",
                .uts_path = dir_.path() + "/uts",
                .hostname = "pod",
                .sysctls = {}};
  }
  void TearDown() override {
    for (const char* name : {"/net", "/ipc", "/uts"})
      EXPECT_TRUE(UnpinNamespace(dir_.path() + name).has_value());
    EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
  }

  test::TempDir dir_;
  PinRequest request_;
};

TEST_F(NetnsTest, PinsNewNamespacesAndStaysWhereItIs) {
  const ino_t own = Inode("/proc/thread-self/ns/net");
  const Status status = PinNamespaces(request_);
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(Inode("/proc/thread-self/ns/net"), own);
  EXPECT_NE(Inode(request_.network_path), own);
  EXPECT_NE(Inode(request_.ipc_path), Inode("/proc/self/ns/ipc"));
  Inside(request_.uts_path, CLONE_NEWUTS, [] {
    std::array<char, 65> name{};
    ::gethostname(name.data(), name.size());
    EXPECT_STREQ(name.data(), "pod");
  });
}

TEST_F(NetnsTest, LoopbackWorks) {
  ASSERT_TRUE(PinNamespaces(request_).has_value());
  Inside(request_.network_path, CLONE_NEWNET, [] {
    EXPECT_NE(ReadFile("/proc/thread-self/net/fib_trie").value_or("").find("127.0.0.1"),
              std::string::npos);
  });
  EXPECT_EQ(ReadInterfaceStats(request_.network_path).value().size(), 0U);
  EXPECT_EQ(ReadInterfaceStats(request_.uts_path).error().code, Code::kInvalidConfig);
}

TEST_F(NetnsTest, SetsSysctlsInside) {
  const std::string port = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
  const std::string own = ReadFile(port).value();
  request_.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "17"},
                      {"net/ipv4/conf/lo/forwarding", "1"},
                      {"kernel.shmmni", "123"}};
  const Status status = PinNamespaces(request_);
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(ReadFile(port).value(), own);
  Inside(request_.network_path, CLONE_NEWNET, [&] {
    EXPECT_EQ(ReadFile(port).value(), "17\n");
    EXPECT_EQ(ReadFile("/proc/sys/net/ipv4/conf/lo/forwarding").value(), "1\n");
  });
  Inside(request_.ipc_path, CLONE_NEWIPC,
         [] { EXPECT_EQ(ReadFile("/proc/sys/kernel/shmmni").value(), "123\n"); });
}

TEST_F(NetnsTest, RefusesSysctlsOfTheHost) {
  for (const char* name : {"kernel.panic", "net.ipv4/../../kernel/panic", "vm.swappiness", "",
                           "../kernel/panic", "/kernel/panic", "net/../kernel/panic"}) {
    PinRequest request = request_;
    request.sysctls = {{name, "1"}};
    const Status status = PinNamespaces(request);
    ASSERT_FALSE(status.has_value()) << name;
    EXPECT_EQ(status.error().code, Code::kInvalidConfig) << name;
  }
  request_.network_path.clear();
  request_.sysctls = {{"net.ipv4.ip_forward", "1"}};
  EXPECT_EQ(PinNamespaces(request_).error().code, Code::kInvalidConfig) << "that is the host's";
}

TEST_F(NetnsTest, LeavesNothingWhenItFails) {
  request_.uts_path = dir_.path() + "/missing/uts";
  ASSERT_FALSE(PinNamespaces(request_).has_value());
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
  request_.uts_path.clear();
  request_.sysctls = {{"net.ipv4.no_such_thing", "1"}};
  const Status status = PinNamespaces(request_);
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message.find("no_such_thing"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path()));
  const std::vector<sys::MountInfo> mounts = sys::ReadMountInfo().value();
  for (const sys::MountInfo& mount : mounts)
    EXPECT_FALSE(mount.mount_point.starts_with(dir_.path()));
}

TEST_F(NetnsTest, NeverTakesAPathInUse) {
  ASSERT_TRUE(PinNamespaces(request_).has_value());
  const ino_t pinned = Inode(request_.network_path);
  EXPECT_EQ(PinNamespaces(request_).error().code, Code::kAlreadyExists);
  EXPECT_EQ(Inode(request_.network_path), pinned);
}

TEST_F(NetnsTest, UnpinningTwiceIsSuccess) {
  ASSERT_TRUE(PinNamespaces(request_).has_value());
  EXPECT_TRUE(UnpinNamespace(request_.network_path).has_value());
  EXPECT_FALSE(std::filesystem::exists(request_.network_path));
  EXPECT_TRUE(UnpinNamespace(request_.network_path).has_value());
  EXPECT_TRUE(UnpinNamespace("").has_value());
}

}  // namespace
}  // namespace coracle::net
