#include <gtest/gtest.h>

#include "coracle/image/image_store.h"

namespace coracle::image {
namespace {

const std::string kHex(64, 'a');

TEST(ReferenceTest, NormalisesAsDockerDoes) {
  const std::pair<const char*, const char*> cases[] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io/library/busybox:1.36"},
      {"user/app", "docker.io/user/app:latest"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/library/busybox", "docker.io/library/busybox:latest"},
      {"ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"},
      {"localhost/x", "localhost/x:latest"},
      {"localhost:5000/x", "localhost:5000/x:latest"},
      {"127.0.0.1:5000/x:y", "127.0.0.1:5000/x:y"},
      {"[::1]:5000/x", "[::1]:5000/x:latest"},
      {"REGISTRY/x", "REGISTRY/x:latest"},
      {"a__b/c-d.e", "docker.io/a__b/c-d.e:latest"},
  };
  for (const auto& [text, expected] : cases) {
    const auto reference = ParseReference(text);
    ASSERT_TRUE(reference.has_value()) << text << ": " << reference.error().message;
    EXPECT_EQ(reference->String(), expected);
  }
}

TEST(ReferenceTest, DigestWinsOverTag) {
  const auto reference = ParseReference("busybox:1@sha256:" + kHex);
  ASSERT_TRUE(reference.has_value());
  EXPECT_EQ(reference->tag, "1");
  EXPECT_EQ(reference->String(), "docker.io/library/busybox@sha256:" + kHex);
  EXPECT_EQ(ParseReference("busybox@sha256:" + kHex)->tag, "");
}

TEST(ReferenceTest, SaysWhichPartIsWrong) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "is empty"},
      {"https://docker.io/x", "scheme"},
      {"user:password@host/x", "digest"},
      {"Busybox", "repository"},
      {"a/../b", "repository"},
      {"a//b", "repository"},
      {"/a", "repository"},
      {"a/", "repository"},
      {"a..b", "repository"},
      {"a___b", "repository"},
      {"-a", "repository"},
      {"a\n", "repository"},
      {"host.example:99999/a", "registry"},
      {"host.example:/a", "registry"},
      {"-host.example/a", "registry"},
      {"a:", "tag"},
      {"a:.x", "tag"},
      {"a:" + std::string(129, 'x'), "tag"},
      {"a@sha256:" + kHex + "a", "digest"},
      {"a@sha256:" + std::string(64, 'A'), "digest"},
      {"a@md5:" + kHex, "digest"},
      {kHex, "image id"},
      {"x/" + std::string(260, 'a'), "255"},
  };
  for (const auto& [text, expected] : cases) {
    const auto reference = ParseReference(text);
    ASSERT_FALSE(reference.has_value()) << text;
    EXPECT_EQ(reference.error().code, Code::kInvalidConfig);
    EXPECT_NE(reference.error().message.find(expected), std::string::npos)
        << text << ": " << reference.error().message;
  }
}

}  // namespace
}  // namespace coracle::image
