#include "coracle/sys/namespaces.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "coracle/sys/process.h"

namespace coracle::sys {
namespace {

TEST(NamespaceFlag, KnowsTheSpecificationsNamesAndTheKernels) {
  EXPECT_EQ(NamespaceFlag("network"), static_cast<std::uint64_t>(CLONE_NEWNET));
  EXPECT_EQ(NamespaceFlag("net"), static_cast<std::uint64_t>(CLONE_NEWNET));
  EXPECT_EQ(NamespaceFlag("mount"), static_cast<std::uint64_t>(CLONE_NEWNS));
  EXPECT_EQ(NamespaceFlag("Pid"), 0U);
  EXPECT_EQ(NamespaceFile(CLONE_NEWNS), "mnt");
  EXPECT_EQ(NamespaceFile(1), "");
}

TEST(OpenNamespace, ChecksTheType) {
  EXPECT_TRUE(OpenNamespace("/proc/self/ns/uts", CLONE_NEWUTS).has_value());
  const auto wrong = OpenNamespace("/proc/self/ns/uts", CLONE_NEWNET);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().code, Code::kInvalidConfig);
  EXPECT_EQ(wrong.error().message, "/proc/self/ns/uts: is a namespace of type uts, expected net");
  EXPECT_EQ(OpenNamespace("/proc/version", CLONE_NEWNET).error().code, Code::kInvalidConfig);
  EXPECT_EQ(OpenNamespace("/nonexistent", CLONE_NEWNET).error().code, Code::kNotFound);
}

TEST(Clone3, MakesAProcessInItsNamespaces) {
  int pidfd = -1;
  const auto pid = clone3({.flags = CLONE_NEWPID | CLONE_NEWUTS, .pidfd = &pidfd});
  if (!pid.has_value() && pid.error().errnum == EPERM) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  ASSERT_TRUE(pid.has_value()) << pid.error().message;
  if (*pid == 0) ::_exit(::getpid() == 1 ? 42 : 1);
  const UniqueFd owned(pidfd);
  EXPECT_TRUE(owned);
  EXPECT_EQ(WaitExit(*pid).value(), 42);
}

TEST(Clone3, AnErrorNamesTheFlags) {
  const auto pid = clone3({.flags = CLONE_NEWNS | CLONE_FS});
  ASSERT_FALSE(pid.has_value());
  EXPECT_NE(pid.error().message.find("clone3(2) flags=CLONE_NEWNS"), std::string::npos);
}

}  // namespace
}  // namespace coracle::sys
