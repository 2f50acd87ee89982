#include "platform.h"

#include <gtest/gtest.h>

namespace coracle::image {
namespace {

oci::Descriptor For(const std::string& os, const std::string& architecture,
                    const std::string& variant = "") {
  oci::Descriptor descriptor;
  descriptor.digest = os + architecture + variant;
  descriptor.platform = oci::Platform{os, architecture, variant};
  return descriptor;
}

TEST(PlatformTest, Normalises) {
  EXPECT_EQ(PlatformText(*ParsePlatform("linux/x86_64")), "linux/amd64");
  EXPECT_EQ(PlatformText(*ParsePlatform("aarch64")), "linux/arm64");
  EXPECT_EQ(PlatformText(*ParsePlatform("linux/arm64/v8")), "linux/arm64");
  EXPECT_EQ(PlatformText(*ParsePlatform("linux/arm")), "linux/arm/v7");
  EXPECT_EQ(PlatformText(*ParsePlatform("Linux/ARM/6")), "linux/arm/v6");
  for (const char* text : {"", "/", "a/b/c/d", "linux/", "a b"})
    EXPECT_FALSE(ParsePlatform(text).has_value()) << text;
}

TEST(PlatformTest, ChoosesTheBestVariant) {
  const std::vector<oci::Descriptor> index = {For("linux", "arm", "v5"), For("linux", "arm", "v7"),
                                              For("linux", "arm", "v6"), For("linux", "amd64"),
                                              For("unknown", "unknown")};
  EXPECT_EQ(SelectPlatform(index, {"linux", "arm", "v7"})->digest, "linuxarmv7");
  EXPECT_EQ(SelectPlatform(index, {"linux", "arm", "v6"})->digest, "linuxarmv6");
  EXPECT_EQ(SelectPlatform(index, {"linux", "amd64", ""})->digest, "linuxamd64");
  EXPECT_EQ(SelectPlatform(index, {"linux", "amd64", "v3"})->digest, "linuxamd64");
}

TEST(PlatformTest, ANewerVariantIsNotForAnOldMachine) {
  EXPECT_FALSE(PlatformMatches({"linux", "amd64", "v3"}, {"linux", "amd64", ""}));
  EXPECT_TRUE(PlatformMatches({"linux", "arm64", "v8"}, {"linux", "arm64", ""}));
}

TEST(PlatformTest, TheErrorListsWhatThereIs) {
  const auto none =
      SelectPlatform({For("linux", "arm64"), For("windows", "amd64"), For("unknown", "unknown")},
                     {"linux", "amd64", ""});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().message,
            "no manifest for platform linux/amd64; there is: linux/arm64, windows/amd64");
}

}  // namespace
}  // namespace coracle::image
