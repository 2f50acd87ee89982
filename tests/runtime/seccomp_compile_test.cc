#include "seccomp_compile.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <sys/syscall.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "seccomp_default.h"
#include "seccomp_oracle.h"
#include "seccomp_syscalls.h"

namespace coracle::runtime {
namespace {

using test::Evaluate;
using test::SeccompOracle;

constexpr std::uint32_t kArchitectures[] = {AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64};
constexpr const char* kOperators[] = {"SCMP_CMP_NE",       "SCMP_CMP_LT", "SCMP_CMP_LE",
                                      "SCMP_CMP_EQ",       "SCMP_CMP_GE", "SCMP_CMP_GT",
                                      "SCMP_CMP_MASKED_EQ"};

using Decider = std::function<std::uint32_t(const seccomp_data&)>;

bool Holds(const oci::SeccompArg& arg, std::uint64_t actual, bool narrow) {
  const std::uint64_t width = narrow ? 0xffffffff : ~0ULL;
  actual &= width;
  const std::uint64_t value = arg.value & width;
  if (arg.op == "SCMP_CMP_NE") return actual != value;
  if (arg.op == "SCMP_CMP_LT") return actual < value;
  if (arg.op == "SCMP_CMP_LE") return actual <= value;
  if (arg.op == "SCMP_CMP_GE") return actual >= value;
  if (arg.op == "SCMP_CMP_GT") return actual > value;
  if (arg.op == "SCMP_CMP_MASKED_EQ") return (actual & value) == (arg.value_two & value);
  return actual == value;
}

bool Holds(const oci::SeccompRule& rule, const SyscallEntry& entry, const seccomp_data& data) {
  const bool narrow = data.arch == AUDIT_ARCH_I386 || (entry.number & kX32Bit) != 0;
  std::set<unsigned> indices;
  for (const oci::SeccompArg& arg : rule.args) indices.insert(arg.index);
  const bool any = indices.size() != rule.args.size();
  std::size_t holding = 0;
  for (const oci::SeccompArg& arg : rule.args)
    holding +=
        (entry.selector.has_value() && arg.index == 0) || Holds(arg, data.args[arg.index], narrow);
  if (entry.selector.has_value() && static_cast<std::uint32_t>(data.args[0]) != *entry.selector)
    return false;
  return any ? holding > 0 : holding == rule.args.size();
}

// What a profile says, straight from its text: the first rule without conditions, else the
// strictest whose conditions hold, else the default.
std::uint32_t Model(const oci::Seccomp& profile, const seccomp_data& data) {
  const auto number = static_cast<std::uint32_t>(data.nr);
  const auto action_of = [](const std::string& name, std::optional<std::uint32_t> errno_ret) {
    return *SeccompAction(name, errno_ret.value_or(EPERM));
  };
  const auto lists = [&](const char* name) {
    return std::ranges::find(profile.architectures, name) != profile.architectures.end();
  };
  const std::uint32_t otherwise = action_of(profile.default_action, profile.default_errno_ret);
  const bool x32 = data.arch == AUDIT_ARCH_X86_64 && number >= kX32Bit;
  if (x32 && !lists("SCMP_ARCH_X32")) return number == ~0U ? otherwise : SECCOMP_RET_KILL_THREAD;
  if (data.arch == AUDIT_ARCH_I386 && !lists("SCMP_ARCH_X86")) return SECCOMP_RET_KILL_THREAD;
  if (data.arch == AUDIT_ARCH_AARCH64) return SECCOMP_RET_KILL_THREAD;
  std::uint32_t highest = 0;
  std::optional<std::uint32_t> always;
  std::optional<std::uint32_t> strictest;
  for (const oci::SeccompRule& rule : profile.syscalls) {
    const std::uint32_t action = action_of(rule.action, rule.errno_ret);
    for (const SyscallEntry& entry :
         SyscallEntries(x32 ? SCMP_ARCH_X32 : data.arch, rule.names.front())) {
      highest = std::max(highest, entry.number);
      if (entry.number != number || action == otherwise) continue;
      const bool conditional = !rule.args.empty() || entry.selector.has_value();
      if (!conditional) always = always.value_or(action);
      if (conditional && Holds(rule, entry, data) &&
          (!strictest.has_value() || static_cast<int>(action) < static_cast<int>(*strictest)))
        strictest = action;
    }
  }
  if (number > highest && profile.default_action != "SCMP_ACT_ALLOW" &&
      profile.default_action != "SCMP_ACT_LOG")
    return SECCOMP_RET_ERRNO | ENOSYS;
  return always.value_or(strictest.value_or(otherwise));
}

class SeccompCompile : public testing::Test {
 protected:
  std::uint64_t Random(std::uint64_t below) {
    return std::uniform_int_distribution<std::uint64_t>(0, below - 1)(random_);
  }

  // Every number of every architecture, with arguments around those that the profile asks for.
  void ExpectDecisions(const oci::Seccomp& profile, const Decider& expected) {
    const auto program = CompileProfile(profile, {});
    ASSERT_TRUE(program.has_value()) << program.error().message;
    const std::vector<std::uint64_t> corners = Corners(profile);
    for (const std::uint32_t architecture : kArchitectures) {
      for (const std::uint32_t number : Numbers()) {
        for (int repeat = 0; repeat < 8; ++repeat) {
          seccomp_data data{};
          data.nr = static_cast<int>(number);
          data.arch = architecture;
          for (auto& arg : data.args) arg = corners[Random(corners.size())];
          ASSERT_EQ(Evaluate(*program, data), expected(data))
              << std::hex << "arch " << architecture << " nr " << number << " args " << data.args[0]
              << " " << data.args[1] << " " << data.args[2] << "\n"
              << Text(profile);
        }
      }
    }
  }
  void ExpectLikeLibseccomp(const oci::Seccomp& profile) {
    const SeccompOracle oracle(profile);
    ExpectDecisions(profile, [&](const seccomp_data& data) { return oracle.Decide(data); });
  }
  void ExpectLikeModel(const oci::Seccomp& profile) {
    ExpectDecisions(profile, [&](const seccomp_data& data) { return Model(profile, data); });
  }

  static std::vector<std::uint64_t> Corners(const oci::Seccomp& profile) {
    std::vector<std::uint64_t> corners = {0, 1, ~0ULL, 1ULL << 32U, 0xffffffff, 0x80000000};
    for (const oci::SeccompRule& rule : profile.syscalls)
      for (const oci::SeccompArg& arg : rule.args)
        for (const std::uint64_t value : {arg.value, arg.value_two})
          for (const std::uint64_t corner : std::initializer_list<std::uint64_t>{
                   value - 1, value, value + 1, value ^ (1ULL << 40U), value & 0xffffffff, ~value})
            corners.push_back(corner);
    return corners;
  }

  std::vector<std::uint32_t> Numbers() {
    std::vector<std::uint32_t> numbers = {0x3fffffff, 0x7fffffff, 0x80000000, 0xfffffffe,
                                          0xffffffff};
    for (std::uint32_t number = 0; number <= 600; ++number) {
      numbers.push_back(number);
      numbers.push_back(number | kX32Bit);
    }
    for (int i = 0; i < 50; ++i) numbers.push_back(static_cast<std::uint32_t>(random_()));
    return numbers;
  }

  static std::string Text(const oci::Seccomp& profile) {
    oci::Spec spec;
    spec.linux_.seccomp = profile;
    return PrintJson(oci::ToJson(spec)["linux"]["seccomp"]);
  }

  oci::SeccompArg RandomArg(unsigned index, bool equal) {
    constexpr std::uint64_t kValues[] = {0, 1, 2, 16, 0xffffffff, 0x100000000, 0x7e020000, ~0ULL};
    return {.index = index,
            .value = kValues[Random(std::size(kValues))] + Random(2),
            .value_two = kValues[Random(std::size(kValues))],
            .op = equal ? "SCMP_CMP_EQ" : kOperators[Random(std::size(kOperators))]};
  }

  // `tame`: what libseccomp 2.5 can do. It forgets to load the number where an architecture has no
  // rule at all, and mixes up several comparisons by size of one argument; what it makes of
  // conditions with several actions depends on the order in which its tree happens to ask.
  oci::Seccomp RandomProfile(bool tame) {
    constexpr const char* kActions[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_LOG",
                                        "SCMP_ACT_TRAP", "SCMP_ACT_KILL_PROCESS"};
    const auto names = Names();
    oci::Seccomp profile;
    profile.default_action = kActions[Random(std::size(kActions))];
    if (profile.default_action == "SCMP_ACT_ERRNO" && Random(2) == 0)
      profile.default_errno_ret = ENOSYS;
    for (const char* name : {"SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_X86_64"})
      if (Random(2) == 0) profile.architectures.emplace_back(name);
    if (tame) profile.syscalls = {{{"read"}, "SCMP_ACT_TRACE", {}, {}}};
    std::set<std::string> used;
    for (auto left = Random(60); left > 0; --left) {
      oci::SeccompRule rule;
      const std::size_t name = Random(names.size());
      rule.names = {names[name]};
      rule.action = kActions[(tame ? name : Random(names.size())) % std::size(kActions)];
      const bool first = used.insert(names[name]).second;
      for (unsigned index = 0; index < 6; ++index)
        if (Random(5) == 0) rule.args.push_back(RandomArg(index, tame && !first));
      if (!tame && !rule.args.empty() && Random(4) == 0)
        rule.args.push_back(RandomArg(rule.args[0].index, false));
      profile.syscalls.push_back(rule);
    }
    return profile;
  }

  static std::vector<std::string> Names() {
    std::set<std::string> names = {"fchmodat2", "accept", "send",       "recv",
                                   "semop",     "ipc",    "semtimedop", "socketcall"};
    for (const std::uint32_t token :
         std::initializer_list<std::uint32_t>{SCMP_ARCH_X86_64, SCMP_ARCH_X86, SCMP_ARCH_X32})
      for (int number = 0; number < 450; ++number)
        if (char* name = ::seccomp_syscall_resolve_num_arch(token, number); name != nullptr) {
          names.insert(name);
          std::free(name);
        }
    return {names.begin(), names.end()};
  }

  std::mt19937_64 random_{20};
};

TEST_F(SeccompCompile, DecidesTheUsualProfileLikeLibseccomp) {
  for (const std::vector<std::string>& capabilities :
       {std::vector<std::string>{}, {"CAP_SYS_ADMIN"}, {"CAP_SYS_PTRACE", "CAP_SYSLOG"}})
    for (const bool with_32_bit : {false, true})
      ExpectLikeLibseccomp(cri::DefaultSeccomp(capabilities, with_32_bit));
}

TEST_F(SeccompCompile, DecidesPodmansProfileLikeLibseccomp) {
  const auto text = ReadFile("/usr/share/containers/seccomp.json");
  if (!text.has_value()) GTEST_SKIP() << "no seccomp.json of podman here";
  const auto json = ParseJson(*text, "seccomp.json");
  ASSERT_TRUE(json.has_value());
  oci::Seccomp profile;
  profile.default_action = (*json)["defaultAction"];
  profile.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  for (const Json& entry : (*json)["syscalls"]) {
    // For a container without capabilities.
    if (entry["includes"].contains("caps") || entry["includes"].contains("arches")) continue;
    oci::SeccompRule rule{entry["names"], entry["action"], {}, {}};
    if (entry.contains("errnoRet") && rule.action == "SCMP_ACT_ERRNO")
      rule.errno_ret = entry["errnoRet"];
    for (const Json& arg : entry["args"])
      rule.args.push_back({arg["index"], arg["value"], arg.value("valueTwo", 0ULL), arg["op"]});
    profile.syscalls.push_back(rule);
  }
  ASSERT_GT(profile.syscalls.size(), 5U);
  ExpectLikeLibseccomp(profile);
}

TEST_F(SeccompCompile, DecidesLikeLibseccomp) {
  for (int i = 0; i < 100 && !HasFatalFailure(); ++i) ExpectLikeLibseccomp(RandomProfile(true));
}

TEST_F(SeccompCompile, DecidesAnyProfileAsItSays) {
  for (int i = 0; i < 30 && !HasFatalFailure(); ++i) ExpectLikeModel(RandomProfile(false));
}

TEST_F(SeccompCompile, OfSeveralConditionsTheStrictestCounts) {
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_TRAP";
  const auto rule = [](const char* action, std::uint64_t least) {
    return oci::SeccompRule{{"close"}, action, {}, {{0, least, 0, "SCMP_CMP_GE"}}};
  };
  profile.syscalls = {rule("SCMP_ACT_ALLOW", 1), rule("SCMP_ACT_KILL_PROCESS", 3),
                      rule("SCMP_ACT_ERRNO", 2)};
  const auto program = CompileProfile(profile, {});
  const auto decide = [&](std::uint64_t argument) {
    seccomp_data data{};
    data.arch = AUDIT_ARCH_X86_64;
    data.nr = SYS_close;
    data.args[0] = argument;
    return Evaluate(*program, data);
  };
  EXPECT_EQ(decide(0), SECCOMP_RET_TRAP);
  EXPECT_EQ(decide(1), SECCOMP_RET_ALLOW);
  EXPECT_EQ(decide(2), SECCOMP_RET_ERRNO | EPERM);
  EXPECT_EQ(decide(3), SECCOMP_RET_KILL_PROCESS);
}

TEST_F(SeccompCompile, AConditionOnANewerCallHolds) {
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_ERRNO";
  profile.syscalls = {{{"mseal"}, "SCMP_ACT_ALLOW", {}, {{2, 0, 0, "SCMP_CMP_EQ"}}}};
  const auto program = CompileProfile(profile, {});
  seccomp_data data{};
  data.arch = AUDIT_ARCH_X86_64;
  data.nr = 462;
  EXPECT_EQ(Evaluate(*program, data), SECCOMP_RET_ALLOW);
  data.args[2] = 1;
  EXPECT_EQ(Evaluate(*program, data), SECCOMP_RET_ERRNO | EPERM);
}

// A filter is paid for by its length when it is loaded, by its depth at each call.
TEST_F(SeccompCompile, IsShort) {
  const auto program = CompileProfile(cri::DefaultSeccomp({}, true), {});
  ASSERT_TRUE(program.has_value());
  EXPECT_LT(program->size(), 500U);
}

}  // namespace
}  // namespace coracle::runtime
