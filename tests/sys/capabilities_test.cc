#include "coracle/sys/capabilities.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace coracle::sys {
namespace {

TEST(CapabilityNames, GoBothWays) {
  EXPECT_EQ(CapabilityNumber("CAP_CHOWN"), 0);
  EXPECT_EQ(CapabilityNumber("CAP_NET_RAW"), 13);
  EXPECT_EQ(CapabilityNumber("CAP_CHECKPOINT_RESTORE"), 40);
  EXPECT_EQ(CapabilityNumber("NET_RAW"), std::nullopt);
  EXPECT_EQ(CapabilityName(21), "CAP_SYS_ADMIN");
  EXPECT_EQ(CapabilityName(63), "");
  EXPECT_GE(LastCapability(), 39);
}

// 0 when exactly `keep` is left in every set.
int KeepOnly(CapabilityMask keep) {
  if (!DropBounding(keep).has_value()) return 1;
  const CapabilitySets wanted{keep, keep, keep, keep, 0};
  if (!capset(wanted).has_value()) return 2;
  if (!RaiseAmbient(keep).has_value()) return 3;
  const auto sets = ReadCapabilities();
  if (!sets.has_value()) return 4;
  const bool right = sets->bounding == keep && sets->effective == keep && sets->permitted == keep &&
                     sets->inheritable == keep && sets->ambient == keep;
  return right ? 0 : 5;
}

TEST(CapabilitySets, AreWhatWasSet) {
  const auto own = ReadCapabilities();
  ASSERT_TRUE(own.has_value()) << own.error().message;
  const CapabilityMask keep = 1U << 13U | 1U << 0U;
  if ((own->effective & keep) != keep || (own->effective & 1U << 8U) == 0)
    GTEST_SKIP() << "needs CAP_SETPCAP, CAP_CHOWN and CAP_NET_RAW";
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(KeepOnly(keep));
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace coracle::sys
