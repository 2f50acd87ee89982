#include "security_context.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "seccomp_default.h"

namespace coracle::cri {
namespace {

bool Holds(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

HostFacts AllCapabilities() {
  HostFacts host;
  host.capabilities = (sys::CapabilityMask{1} << (sys::LastCapability() + 1)) - 1;
  return host;
}

TEST(MakeCapabilities, StartsFromTheDefaultSet) {
  const auto sets = MakeCapabilities({}, AllCapabilities());
  ASSERT_TRUE(sets.has_value());
  EXPECT_EQ(sets->bounding.size(), 14U);
  EXPECT_EQ(sets->effective, sets->bounding);
  EXPECT_EQ(sets->permitted, sets->bounding);
  EXPECT_TRUE(sets->inheritable.empty());
  EXPECT_TRUE(sets->ambient.empty());
  EXPECT_FALSE(Holds(sets->bounding, "CAP_SYS_ADMIN"));
}

TEST(MakeCapabilities, AddsAndDropsByEitherSpelling) {
  v1::LinuxContainerSecurityContext context;
  context.mutable_capabilities()->add_add_capabilities("net_admin");
  context.mutable_capabilities()->add_drop_capabilities("CAP_CHOWN");
  const auto sets = MakeCapabilities(context, AllCapabilities());
  ASSERT_TRUE(sets.has_value());
  EXPECT_TRUE(Holds(sets->bounding, "CAP_NET_ADMIN"));
  EXPECT_FALSE(Holds(sets->bounding, "CAP_CHOWN"));
}

TEST(MakeCapabilities, DropAllKeepsWhatIsAdded) {
  v1::LinuxContainerSecurityContext context;
  context.mutable_capabilities()->add_drop_capabilities("ALL");
  context.mutable_capabilities()->add_add_capabilities("NET_BIND_SERVICE");
  const auto sets = MakeCapabilities(context, AllCapabilities());
  ASSERT_TRUE(sets.has_value());
  EXPECT_EQ(sets->bounding, std::vector<std::string>{"CAP_NET_BIND_SERVICE"});
}

TEST(MakeCapabilities, GivesNoMoreThanTheDaemonHas) {
  HostFacts host = AllCapabilities();
  host.capabilities &= ~(sys::CapabilityMask{1} << 24);  // CAP_SYS_RESOURCE
  v1::LinuxContainerSecurityContext context;
  context.set_privileged(true);
  auto sets = MakeCapabilities(context, host);
  ASSERT_TRUE(sets.has_value());
  EXPECT_TRUE(Holds(sets->bounding, "CAP_SYS_ADMIN"));
  EXPECT_FALSE(Holds(sets->bounding, "CAP_SYS_RESOURCE"));
  context.set_privileged(false);
  context.mutable_capabilities()->add_add_capabilities("ALL");
  sets = MakeCapabilities(context, host);
  ASSERT_TRUE(sets.has_value());
  EXPECT_FALSE(Holds(sets->bounding, "CAP_SYS_RESOURCE"));
  context.mutable_capabilities()->add_add_capabilities("SYS_RESOURCE");
  sets = MakeCapabilities(context, host);
  ASSERT_FALSE(sets.has_value());
  EXPECT_EQ(sets.error().code, Code::kUnsupported);
}

TEST(MakeCapabilities, NamesTheUnknownOne) {
  v1::LinuxContainerSecurityContext context;
  context.mutable_capabilities()->add_add_capabilities("NET_RAW");
  context.mutable_capabilities()->add_add_capabilities("FLY");
  const auto sets = MakeCapabilities(context, AllCapabilities());
  ASSERT_FALSE(sets.has_value());
  EXPECT_NE(sets.error().message.find("/capabilities/add_capabilities/1: \"FLY\""),
            std::string::npos)
      << sets.error().message;
}

TEST(ChooseSeccomp, FailsClosed) {
  using Kind = SeccompChoice::Kind;
  v1::LinuxContainerSecurityContext context;
  EXPECT_EQ(ChooseSeccomp(context)->kind, Kind::kUnconfined);
  context.mutable_seccomp()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  EXPECT_EQ(ChooseSeccomp(context)->kind, Kind::kRuntimeDefault);
  context.mutable_seccomp()->set_profile_type(v1::SecurityProfile::Localhost);
  EXPECT_FALSE(ChooseSeccomp(context).has_value());  // CVE-2023-2431: no path is no profile
  context.mutable_seccomp()->set_localhost_ref("relative.json");
  EXPECT_FALSE(ChooseSeccomp(context).has_value());
  context.mutable_seccomp()->set_localhost_ref("/p.json");
  EXPECT_EQ(ChooseSeccomp(context)->path, "/p.json");
  context.clear_seccomp();
  context.set_seccomp_profile_path("localhost/");
  EXPECT_FALSE(ChooseSeccomp(context).has_value());
  context.set_seccomp_profile_path("nonsense");
  EXPECT_FALSE(ChooseSeccomp(context).has_value());
}

TEST(ParseSeccompProfile, ReadsAProfileAndNamesMistakes) {
  const auto profile = ParseSeccompProfile(
      R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["sethostname"],)"
      R"("action":"SCMP_ACT_ERRNO"}]})",
      "/p.json");
  ASSERT_TRUE(profile.has_value()) << profile.error().message;
  EXPECT_EQ(profile->default_action, "SCMP_ACT_ALLOW");
  ASSERT_EQ(profile->syscalls.size(), 1U);
  for (const char* text : {"", "[]", "{}", "{\"defaultAction\":\"SCMP_ACT_FLY\"}", "{"}) {
    EXPECT_FALSE(ParseSeccompProfile(text, "/p.json").has_value()) << text;
  }
}

TEST(DefaultSeccomp, DependsOnCapabilities) {
  const auto allows = [](const oci::Seccomp& profile, const std::string& name) {
    return std::ranges::any_of(profile.syscalls, [&](const oci::SeccompRule& rule) {
      return rule.action == "SCMP_ACT_ALLOW" && rule.args.empty() && Holds(rule.names, name);
    });
  };
  const oci::Seccomp plain = DefaultSeccomp({}, false);
  EXPECT_EQ(plain.default_action, "SCMP_ACT_ERRNO");
  EXPECT_EQ(plain.architectures.size(), 1U) << "socketcall(2) goes around conditions on socket(2)";
  EXPECT_TRUE(allows(plain, "read"));
  for (const char* name : {"mount", "bpf", "keyctl", "io_uring_setup", "userfaultfd", "clone3"}) {
    EXPECT_FALSE(allows(plain, name)) << name;
  }
  EXPECT_EQ(DefaultSeccomp({}, true).architectures.size(), 2U);
  const oci::Seccomp admin = DefaultSeccomp({"CAP_SYS_ADMIN"}, true);
  EXPECT_TRUE(allows(admin, "mount"));
  EXPECT_TRUE(allows(admin, "clone3"));
}

TEST(ChooseAppArmor, NeedsAHostThatHasIt) {
  HostFacts host;
  v1::LinuxContainerSecurityContext context;
  EXPECT_EQ(ChooseAppArmor(context, host).value_or("?"), "");
  context.mutable_apparmor()->set_profile_type(v1::SecurityProfile::Localhost);
  context.mutable_apparmor()->set_localhost_ref("mine");
  EXPECT_FALSE(ChooseAppArmor(context, host).has_value());
  host.apparmor = true;
  EXPECT_EQ(ChooseAppArmor(context, host).value_or("?"), "mine");
  context.mutable_apparmor()->set_profile_type(v1::SecurityProfile::RuntimeDefault);
  EXPECT_FALSE(ChooseAppArmor(context, host).has_value());  // not loaded: never without
  host.apparmor_default_loaded = true;
  EXPECT_EQ(ChooseAppArmor(context, host).value_or("?"), kAppArmorDefault);
}

TEST(MaskedPaths, AreTheRequestsOrTheUsualOnes) {
  v1::LinuxContainerSecurityContext context;
  EXPECT_TRUE(Holds(MaskedPaths(context), "/proc/kcore"));
  context.add_masked_paths("/one");
  EXPECT_EQ(MaskedPaths(context), std::vector<std::string>{"/one"});
  context.set_privileged(true);
  EXPECT_TRUE(MaskedPaths(context).empty());
  EXPECT_TRUE(ReadonlyPaths(context).empty());
}

}  // namespace
}  // namespace coracle::cri
