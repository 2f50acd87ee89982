#include "digest.h"

#include <gtest/gtest.h>

namespace coracle::image {
namespace {

TEST(DigestTest, HashesAsTheStandardSays) {
  EXPECT_EQ(DigestOf("abc").String(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(DigestOf("abc", "sha512").hex.substr(0, 16), "ddaf35a193617aba");
  Hasher hasher;
  hasher.Update("a");
  hasher.Update("bc");
  EXPECT_EQ(hasher.Finish(), DigestOf("abc"));
}

TEST(DigestTest, ParsesOnlyDigests) {
  const std::string hex(64, '0');
  EXPECT_TRUE(ParseDigest("sha256:" + hex).has_value());
  EXPECT_TRUE(ParseDigest("sha512:" + hex + hex).has_value());
  for (const std::string& text :
       {std::string(), hex, "sha256:" + hex.substr(1), "sha256:" + hex + "0",
        "sha256:" + hex.substr(1) + "A", "sha256:" + hex.substr(6) + "/../..", "sha512:" + hex,
        "md5:" + hex, "sha256:" + hex + "\n"})
    EXPECT_FALSE(ParseDigest(text).has_value()) << text;
}

}  // namespace
}  // namespace coracle::image
