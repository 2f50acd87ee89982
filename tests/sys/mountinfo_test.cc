#include "coracle/sys/mountinfo.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace coracle::sys {
namespace {

TEST(ReadMountInfo, ReadsEachField) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/mountinfo";
  ASSERT_TRUE(
      WriteFileAtomically(path,
                          "36 35 98:0 /mnt1 /mnt\\040two\\134 rw,noatime master:1 shared:7 - ext3 "
                          "/dev/root rw,errors=continue\n"
                          "40 1 0:5 / /sys rw - sysfs none rw\n")
          .has_value());
  const auto mounts = ReadMountInfo(path);
  ASSERT_TRUE(mounts.has_value()) << mounts.error().message;
  ASSERT_EQ(mounts->size(), 2U);
  const MountInfo& mount = mounts->front();
  EXPECT_EQ(mount.id, 36);
  EXPECT_EQ(mount.parent, 35);
  EXPECT_EQ(mount.major, 98U);
  EXPECT_EQ(mount.root, "/mnt1");
  EXPECT_EQ(mount.mount_point, "/mnt two\\");
  EXPECT_EQ(mount.options, "rw,noatime");
  EXPECT_EQ(mount.optional, (std::vector<std::string>{"master:1", "shared:7"}));
  EXPECT_EQ(mount.fstype, "ext3");
  EXPECT_EQ(mount.source, "/dev/root");
  EXPECT_EQ(mount.super_options, "rw,errors=continue");
  EXPECT_TRUE(mounts->back().optional.empty());
}

TEST(ReadMountInfo, FindsTheRootOfThisHost) {
  const auto mounts = ReadMountInfo();
  ASSERT_TRUE(mounts.has_value()) << mounts.error().message;
  EXPECT_TRUE(std::any_of(mounts->begin(), mounts->end(),
                          [](const MountInfo& mount) { return mount.mount_point == "/"; }));
}

TEST(ReadMountInfo, RefusesAnotherFormat) {
  const test::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/x", "36 35 98:0 / /mnt rw\n").has_value());
  EXPECT_EQ(ReadMountInfo(dir.path() + "/x").error().errnum, EPROTO);
}

}  // namespace
}  // namespace coracle::sys
