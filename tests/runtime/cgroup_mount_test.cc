// Where cgroup2 is found: asked of the usual places, else of mountinfo.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>

#include "child.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/sys/mountinfo.h"

namespace coracle::runtime {
namespace {

std::string Covered(const std::string& place, const std::function<std::string()>& body) {
  return test::InChild(CLONE_NEWNS, [&]() -> std::string {
    MUST(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    MUST(::mount("tmpfs", place.c_str(), "tmpfs", 0, nullptr) == 0);
    return body();
  });
}

TEST(CgroupMount, IsOneOfMountinfo) {
  const auto found = CgroupMount();
  if (!found.has_value()) GTEST_SKIP() << found.error().message;
  const auto mounts = sys::ReadMountInfo();
  EXPECT_TRUE(std::ranges::any_of(*mounts, [&](const sys::MountInfo& mount) {
    return mount.fstype == "cgroup2" && mount.mount_point == *found;
  })) << *found;
}

TEST(CgroupMount, MayBeInAnUnusualPlace) {
  if (!CgroupMount().has_value()) GTEST_SKIP() << "needs a cgroup2 file system";
  const test::TempDir place;
  EXPECT_EQ(Covered("/sys/fs/cgroup",
                    [&]() -> std::string {
                      MUST(::mount("cgroup2", place.path().c_str(), "cgroup2", 0, nullptr) == 0);
                      const auto found = CgroupMount();
                      MUST_WORK(found);
                      return *found;
                    }),
            place.path());
}

TEST(CgroupMount, IsMissingWhereItIsCovered) {
  if (!CgroupMount().has_value()) GTEST_SKIP() << "needs a cgroup2 file system";
  EXPECT_EQ(
      Covered("/sys/fs/cgroup", []() -> std::string { return CgroupMount().error().message; }),
      "/proc/self/mountinfo: no cgroup2 mount on this host");
}

}  // namespace
}  // namespace coracle::runtime
