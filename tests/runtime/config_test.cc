#include "config.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace coracle::runtime {
namespace {

constexpr const char* kSeccomp = R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
  {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}]})";

std::string Text(const std::string& seccomp, const std::string& hostname = "\"h\"") {
  return R"({"ociVersion": "1.2.0", "root": {"path": "rootfs"}, "hostname": )" + hostname +
         R"(, "linux": {"namespaces": [{"type": "uts"}], "seccomp": )" + seccomp + "}}";
}

class ConfigCache : public testing::Test {
 protected:
  // As `create` does it.
  void Compile(const std::string& text) {
    const auto config = ParseConfig(runtime_, text, "config.json");
    ASSERT_TRUE(config.has_value()) << config.error().message;
    ASSERT_FALSE(config->filter.has_value());
    const auto plan = PlanSeccomp(config->spec);
    ASSERT_TRUE(plan.has_value() && plan->has_value());
    ASSERT_TRUE(CompileSeccomp(**plan, config->cache, {}).has_value());
  }
  test::TempDir temp_;
  Runtime runtime_{.root = temp_.path()};
};

TEST_F(ConfigCache, AKnownProfileIsNotParsedAgain) {
  Compile(Text(kSeccomp));
  const auto config = ParseConfig(runtime_, Text(kSeccomp, "\"other\""), "config.json");
  ASSERT_TRUE(config.has_value());
  EXPECT_TRUE(config->filter.has_value());
  EXPECT_FALSE(config->spec.linux_.seccomp.has_value());
  EXPECT_EQ(config->spec.hostname, "other");
  ASSERT_EQ(config->spec.linux_.namespaces.size(), 1U);
}

TEST_F(ConfigCache, AnotherProfileIs) {
  Compile(Text(kSeccomp));
  std::string other = kSeccomp;
  other.replace(other.find("mkdir"), 5, "rmdir");
  const auto config = ParseConfig(runtime_, Text(other), "config.json");
  ASSERT_TRUE(config.has_value());
  EXPECT_FALSE(config->filter.has_value());
  ASSERT_TRUE(config->spec.linux_.seccomp.has_value());
}

TEST_F(ConfigCache, ErrorsAreThoseOfTheWholeText) {
  Compile(Text(kSeccomp));
  for (const std::string& text : {Text(kSeccomp, "7"), Text(kSeccomp) + "x"}) {
    const auto quick = ParseConfig(runtime_, text, "config.json");
    const auto whole = oci::ParseSpec(text, "config.json");
    ASSERT_FALSE(quick.has_value());
    ASSERT_FALSE(whole.has_value());
    EXPECT_EQ(quick.error().message, whole.error().message);
  }
}

}  // namespace
}  // namespace coracle::runtime
