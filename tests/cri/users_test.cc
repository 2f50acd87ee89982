#include "users.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "coracle/base/file.h"
#include "coracle/sys/path.h"
#include "support/temp_dir.h"

namespace coracle::cri {
namespace {

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "www-data:x:33:33:www:/var/www:/bin/false\n"
    "default-user:x:1000:1000::/home/default-user:/bin/sh\n"
    "4294967296:x:0:0:trap:/root:/bin/sh\n"
    "broken line\n"
    "bad:x:minus:1::/:\n";
constexpr const char* kGroup =
    "root:x:0:\n"
    "users:x:100:www-data\n"
    "group-defined-in-image:x:50000:default-user,www-data\n";

Result<Identity> Resolve(const v1::LinuxContainerSecurityContext& context,
                         const std::string& image_user) {
  return ResolveIdentity(context, image_user, kPasswd, kGroup);
}

TEST(ResolveIdentity, TakesRootWhenNobodySaysWho) {
  const auto identity = Resolve({}, "");
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(identity->uid, 0U);
  EXPECT_EQ(identity->gid, 0U);
  EXPECT_EQ(identity->home, "/root");
  EXPECT_EQ(identity->groups, std::vector<std::uint32_t>{0});
}

TEST(ResolveIdentity, LooksUpNamesOfTheImage) {
  const auto identity = Resolve({}, "www-data:users");
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(identity->uid, 33U);
  EXPECT_EQ(identity->gid, 100U);
  EXPECT_EQ(identity->home, "/var/www");
}

TEST(ResolveIdentity, AddsTheImagesGroupsWhenMerging) {
  v1::LinuxContainerSecurityContext context;
  context.mutable_run_as_user()->set_value(1000);
  context.add_supplemental_groups(60000);
  auto identity = Resolve(context, "");
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(identity->groups, (std::vector<std::uint32_t>{1000, 50000, 60000}));
  context.set_supplemental_groups_policy(v1::Strict);
  identity = Resolve(context, "");
  ASSERT_TRUE(identity.has_value());
  EXPECT_EQ(identity->groups, (std::vector<std::uint32_t>{1000, 60000}));
}

TEST(ResolveIdentity, WantsAUserForAGroup) {
  v1::LinuxContainerSecurityContext context;
  context.mutable_run_as_group()->set_value(5);
  const auto identity = Resolve(context, "");
  ASSERT_FALSE(identity.has_value());
  EXPECT_EQ(identity.error().code, Code::kInvalidConfig);
  EXPECT_NE(identity.error().message.find("run_as_group"), std::string::npos);
}

// A number that does not fit must never become uid 0, nor a name of the image's passwd.
class StrangeUser : public testing::TestWithParam<const char*> {};
TEST_P(StrangeUser, IsRefused) {
  const auto identity = Resolve({}, GetParam());
  ASSERT_FALSE(identity.has_value()) << identity->uid;
  EXPECT_EQ(identity.error().code, Code::kInvalidConfig);
}
INSTANTIATE_TEST_SUITE_P(Numbers, StrangeUser,
                         testing::Values("4294967295", "4294967296", "18446744073709551616", "-1",
                                         "+0", " 0", "0 ", "0x0", "nobody-here", "1000:4294967296",
                                         "root\n", "root:no-such-group"));

TEST(ResolveIdentity, RefusesIdsOutOfRange) {
  v1::LinuxContainerSecurityContext context;
  for (const std::int64_t id : {-1L, 4294967295L, 1L << 40}) {
    context.mutable_run_as_user()->set_value(id);
    EXPECT_FALSE(Resolve(context, "").has_value()) << id;
  }
  context.mutable_run_as_user()->set_value(4294967294);
  EXPECT_TRUE(Resolve(context, "").has_value());
}

TEST(NumericUser, SplitsNumbersFromNames) {
  EXPECT_EQ(NumericUser("1003:1004"), 1003U);
  EXPECT_FALSE(NumericUser("www-data:33").has_value());
  EXPECT_EQ(UserPart("www-data:33"), "www-data");
}

TEST(ReadImageFile, ReadsRegularFilesOnly) {
  const test::TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir.path() + "/etc").has_value());
  const auto root = sys::OpenRoot(dir.path());
  ASSERT_TRUE(root.has_value());
  EXPECT_EQ(ReadImageFile(root->get(), "/etc/passwd").value_or("?"), "");
  ASSERT_EQ(::mkfifo((dir.path() + "/etc/passwd").c_str(), 0600), 0);
  EXPECT_FALSE(ReadImageFile(root->get(), "/etc/passwd").has_value());
  ASSERT_EQ(::symlink("/../../../etc/hostname-of-nobody", (dir.path() + "/etc/group").c_str()), 0);
  EXPECT_EQ(ReadImageFile(root->get(), "/etc/group").value_or("?"), "");
}

}  // namespace
}  // namespace coracle::cri
