#include "image_user.h"

#include <gtest/gtest.h>

namespace coracle::image::cli {
namespace {

// Every odd name is root in this passwd: none of them may be found.
constexpr const char* kPasswd =
    "root:x:0:0::/:/bin/sh\nweb:x:33:34::/:\n4294967296:x:0:0::/:\n-1:x:0:0::/:\n+0:x:0:0::/:\n"
    "0x0:x:0:0::/:\nbroken:x:zero:0::/:\nshort:x\n";
constexpr const char* kGroup = "root:x:0:\nwww:x:34:\nextra:x:50:web,other\nmore:x:51:other\n";

TEST(ImageUserTest, NamesAndNumbers) {
  const auto none = ResolveImageUser("", kPasswd, kGroup);
  EXPECT_EQ(none->uid, 0U);
  const auto web = ResolveImageUser("web", kPasswd, kGroup);
  EXPECT_EQ(web->uid, 33U);
  EXPECT_EQ(web->gid, 34U);
  EXPECT_EQ(web->additional_gids, (std::vector<std::uint32_t>{34, 50}));
  const auto number = ResolveImageUser("1000", kPasswd, kGroup);
  EXPECT_EQ(number->uid, 1000U);
  EXPECT_EQ(number->gid, 0U);
  const auto group = ResolveImageUser("1000:extra", kPasswd, kGroup);
  EXPECT_EQ(group->gid, 50U);
  EXPECT_EQ(ResolveImageUser("web:7", kPasswd, kGroup)->gid, 7U);
}

TEST(ImageUserTest, NothingOddBecomesRoot) {
  for (const char* text :
       {"4294967295", "4294967296", "18446744073709551616", "-1", "+0", "nobody", "broken", "short",
        " 0", "root\n", "0:4294967296", "0:-1", "0:nogroup", "99999999999999999999"})
    EXPECT_FALSE(ResolveImageUser(text, kPasswd, kGroup).has_value()) << text;
}

}  // namespace
}  // namespace coracle::image::cli
