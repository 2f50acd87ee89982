#include "numbers.h"

#include <gtest/gtest.h>

namespace coracle::runtime::cli {
namespace {

TEST(ParseNumber, TakesTheWholeWordOrNothing) {
  EXPECT_EQ(ParseNumber<std::uint32_t>("4294967295", "--user").value(), 4294967295U);
  for (const char* text : {"", "1x", "x", "-1", "+1", " 1", "4294967296", "0x10", "1.0"})
    EXPECT_FALSE(ParseNumber<std::uint32_t>(text, "--user").has_value()) << text;
  EXPECT_EQ(ParseNumber<std::uint32_t>("root", "--user").error().message,
            "--user: \"root\" is not a number from 0 to 4294967295");
}

TEST(ParseBytes, KnowsUnits) {
  EXPECT_EQ(ParseBytes("1048576", "--memory").value(), 1048576);
  EXPECT_EQ(ParseBytes("512k", "--memory").value(), 512 << 10);
  EXPECT_EQ(ParseBytes("64MiB", "--memory").value(), 64 << 20);
  EXPECT_EQ(ParseBytes("1g", "--memory").value(), 1 << 30);
  EXPECT_EQ(ParseBytes("-1", "--memory").value(), -1);
  for (const char* text : {"", "-2", "1x", "k", "1.5g", "99999999999t"})
    EXPECT_FALSE(ParseBytes(text, "--memory").has_value()) << text;
}

TEST(ParseMilliseconds, KnowsUnits) {
  EXPECT_EQ(ParseMilliseconds("500ms", "--interval").value(), 500);
  EXPECT_EQ(ParseMilliseconds("5s", "--interval").value(), 5000);
  EXPECT_EQ(ParseMilliseconds("2m", "--interval").value(), 120000);
  for (const char* text : {"", "5", "0s", "s", "-1s"})
    EXPECT_FALSE(ParseMilliseconds(text, "--interval").has_value()) << text;
}

}  // namespace
}  // namespace coracle::runtime::cli
