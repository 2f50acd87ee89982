#include "coracle/base/id.h"

#include <gtest/gtest.h>

namespace coracle {
namespace {

TEST(ValidateId, TakesNamesAndRefusesPaths) {
  for (const char* good : {"a", "web-1", "A.b_c+d", "..."}) {
    EXPECT_TRUE(ValidateId(good).has_value()) << good;
  }
  for (const char* bad : {"", ".", "..", "a/b", "a b", "a\n", "é"}) {
    EXPECT_FALSE(ValidateId(bad).has_value()) << bad;
  }
  EXPECT_FALSE(ValidateId(std::string(1025, 'a')).has_value());
}

TEST(RandomHex, HasTheLengthAndDiffers) {
  EXPECT_EQ(RandomHex(32).size(), 64U);
  EXPECT_NE(RandomHex(32), RandomHex(32));
}

}  // namespace
}  // namespace coracle
