#include "seccomp.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <set>

#include "child.h"
#include "coracle/base/json.h"
#include "coracle/sys/socket.h"
#include "seccomp_oracle.h"

namespace coracle::runtime {
namespace {

using test::Evaluate;
using test::InChild;

constexpr unsigned kX32 = 0x40000000;

oci::SeccompRule Rule(std::vector<std::string> names, const std::string& action) {
  oci::SeccompRule rule;
  rule.names = std::move(names);
  rule.action = action;
  return rule;
}

// Allows a few calls, refuses the rest.
oci::Seccomp AllowList() {
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_ERRNO";
  profile.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  profile.syscalls = {
      Rule({"read", "write", "exit", "exit_group", "getpid", "openat2"}, "SCMP_ACT_ALLOW")};
  return profile;
}

Result<SeccompProgram> Compile(const oci::Seccomp& profile, const Warn& warn = {},
                               const SeccompCache& cache = {}) {
  oci::Spec spec;
  spec.linux_.seccomp = profile;
  const auto plan = TRY(PlanSeccomp(spec));
  return CompileSeccomp(*plan, cache, warn);
}

struct Numbers {
  std::set<unsigned> allowed;
  unsigned highest = 0;
};
Numbers NumbersOn(std::uint32_t token, const std::vector<std::string>& names) {
  Numbers numbers;
  for (const std::string& name : names) {
    const int number = ::seccomp_syscall_resolve_name_arch(token, name.c_str());
    if (number < 0) continue;
    numbers.allowed.insert(static_cast<unsigned>(number));
    numbers.highest = std::max(numbers.highest, static_cast<unsigned>(number));
  }
  return numbers;
}

TEST(Seccomp, EveryNumberOfEveryArchitectureIsDecidedAsTheProfileSays) {
  const oci::Seccomp profile = AllowList();
  const auto program = Compile(profile);
  ASSERT_TRUE(program.has_value()) << program.error().message;
  const std::tuple<std::uint32_t, std::uint32_t, unsigned> kArchitectures[] = {
      {SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0},
      {SCMP_ARCH_X86, AUDIT_ARCH_I386, 0},
      {SCMP_ARCH_X32, AUDIT_ARCH_X86_64, kX32}};
  for (const auto& [token, audit, base] : kArchitectures) {
    const Numbers numbers = NumbersOn(token, profile.syscalls[0].names);
    for (unsigned number = base; number < base + 600; ++number) {
      seccomp_data data{};
      data.nr = static_cast<int>(number);
      data.arch = audit;
      const std::uint32_t expected = numbers.allowed.contains(number) ? SECCOMP_RET_ALLOW
                                     : number > numbers.highest       ? SECCOMP_RET_ERRNO | ENOSYS
                                                                      : SECCOMP_RET_ERRNO | EPERM;
      ASSERT_EQ(Evaluate(program->instructions, data), expected) << token << " " << number;
    }
  }
  seccomp_data data{};
  data.arch = AUDIT_ARCH_AARCH64;
  EXPECT_EQ(Evaluate(program->instructions, data), SECCOMP_RET_KILL_THREAD);
}

TEST(Seccomp, X32IsRefusedUnlessListed) {
  oci::Seccomp profile = AllowList();
  profile.architectures = {"SCMP_ARCH_X86_64"};
  const auto program = Compile(profile);
  seccomp_data data{};
  data.arch = AUDIT_ARCH_X86_64;
  data.nr = static_cast<int>(kX32 + 39);
  EXPECT_EQ(Evaluate(program->instructions, data), SECCOMP_RET_KILL_THREAD);
}

TEST(Seccomp, ArgumentsOfOneRuleMustAllHoldUnlessOneIsRepeated) {
  oci::Seccomp profile = AllowList();
  oci::SeccompRule both = Rule({"socket"}, "SCMP_ACT_ALLOW");
  both.args = {{.index = 0, .value = 1, .value_two = 0, .op = "SCMP_CMP_EQ"},
               {.index = 1, .value = 2, .value_two = 0, .op = "SCMP_CMP_GE"}};
  oci::SeccompRule either = Rule({"personality"}, "SCMP_ACT_ALLOW");
  either.args = {{.index = 0, .value = 0, .value_two = 0, .op = "SCMP_CMP_EQ"},
                 {.index = 0, .value = 8, .value_two = 0, .op = "SCMP_CMP_EQ"}};
  profile.syscalls.push_back(both);
  profile.syscalls.push_back(either);
  const auto program = Compile(profile);
  ASSERT_TRUE(program.has_value()) << program.error().message;
  const auto allowed = [&](int number, std::uint64_t first, std::uint64_t second) {
    seccomp_data data{};
    data.arch = AUDIT_ARCH_X86_64;
    data.nr = number;
    data.args[0] = first;
    data.args[1] = second;
    return Evaluate(program->instructions, data) == SECCOMP_RET_ALLOW;
  };
  EXPECT_TRUE(allowed(SYS_socket, 1, 3));
  EXPECT_FALSE(allowed(SYS_socket, 1, 1));
  EXPECT_FALSE(allowed(SYS_socket, 2, 3));
  EXPECT_TRUE(allowed(SYS_personality, 0, 0));
  EXPECT_TRUE(allowed(SYS_personality, 8, 0));
  EXPECT_FALSE(allowed(SYS_personality, 9, 0));
}

TEST(Seccomp, CallsNewerThanLibseccompAreDecidedToo) {
  oci::Seccomp profile = AllowList();
  profile.syscalls.push_back(Rule({"fchmodat2"}, "SCMP_ACT_ALLOW"));
  const auto program = Compile(profile);
  const auto decide = [&](int number) {
    seccomp_data data{};
    data.arch = AUDIT_ARCH_X86_64;
    data.nr = number;
    return Evaluate(program->instructions, data);
  };
  EXPECT_EQ(decide(452), SECCOMP_RET_ALLOW);
  EXPECT_EQ(decide(451), SECCOMP_RET_ERRNO | EPERM);
  EXPECT_EQ(decide(453), SECCOMP_RET_ERRNO | ENOSYS);
}

TEST(Seccomp, WhatAProfileForbidsByAnUnknownNameIsNotLetThrough) {
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_ALLOW";
  profile.syscalls = {Rule({"not_yet_invented", "mseal"}, "SCMP_ACT_KILL_PROCESS")};
  std::vector<std::string> warnings;
  const auto program = Compile(profile, [&](const std::string& line) { warnings.push_back(line); });
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("not_yet_invented is unknown"), std::string::npos);
  const auto decide = [&](int number) {
    seccomp_data data{};
    data.arch = AUDIT_ARCH_X86_64;
    data.nr = number;
    return Evaluate(program->instructions, data);
  };
  EXPECT_EQ(decide(SYS_getpid), SECCOMP_RET_ALLOW);
  EXPECT_EQ(decide(462), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(decide(1000), SECCOMP_RET_ERRNO | ENOSYS);
}

TEST(Seccomp, TheKernelTakesItAndActs) {
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_ALLOW";
  profile.flags = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                   "SECCOMP_FILTER_FLAG_SPEC_ALLOW"};
  profile.syscalls = {Rule({"getcwd"}, "SCMP_ACT_ERRNO")};
  profile.syscalls[0].errno_ret = ENOTNAM;
  const auto program = Compile(profile);
  ASSERT_TRUE(program.has_value()) << program.error().message;
  EXPECT_EQ(InChild(0,
                    [&]() -> std::string {
                      MUST(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
                      MUST_WORK(LoadSeccomp(*program));
                      std::array<char, 10> buffer{};
                      MUST(::syscall(SYS_getcwd, buffer.data(), buffer.size()) < 0);
                      MUST(errno == ENOTNAM);
                      return "";
                    }),
            "");
}

TEST(Seccomp, TheListenerGoesToTheAgentWithTheState) {
  const test::TempDir temp;
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_ALLOW";
  profile.flags = {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
  profile.syscalls = {Rule({"mkdirat"}, "SCMP_ACT_NOTIFY")};
  profile.listener_path = temp.path() + "/agent.sock";
  profile.listener_metadata = "meta";
  const auto program = Compile(profile);
  ASSERT_TRUE(program.has_value()) << program.error().message;
  const auto listening = sys::ListenUnix(profile.listener_path, 0600, SOCK_STREAM);
  ASSERT_TRUE(listening.has_value());
  EXPECT_EQ(InChild(0,
                    [&]() -> std::string {
                      MUST(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
                      const auto listener = LoadSeccomp(*program);
                      MUST_WORK(listener);
                      MUST(listener->get() >= 0);
                      const Json state = {{"ociVersion", "1.2.0"}, {"id", "c"}};
                      MUST_WORK(SendSeccompListener(*program, state, 42, listener->get()));
                      return "";
                    }),
            "");
  const UniqueFd agent(::accept4(listening->get(), nullptr, nullptr, SOCK_CLOEXEC));
  const auto received = sys::ReceiveFds(agent.get());
  ASSERT_TRUE(received.has_value());
  EXPECT_EQ(received->fds.size(), 1U);
  const auto message = ParseJson(received->data, "message");
  ASSERT_TRUE(message.has_value());
  EXPECT_EQ((*message)["ociVersion"], "1.2.0");
  EXPECT_EQ((*message)["fds"], Json::array({"seccompFd"}));
  EXPECT_EQ((*message)["pid"], 42);
  EXPECT_EQ((*message)["metadata"], "meta");
  EXPECT_EQ((*message)["state"]["id"], "c");
}

TEST(Seccomp, BadValuesNameTheirPlace) {
  const auto problem = [](const std::function<void(oci::Seccomp&)>& spoil) {
    oci::Seccomp profile = AllowList();
    spoil(profile);
    const auto program = Compile(profile);
    return program.has_value() ? "" : program.error().message;
  };
  const auto expect = [&](const std::string& place, const std::function<void(oci::Seccomp&)>& s) {
    const std::string message = problem(s);
    EXPECT_TRUE(message.starts_with("/linux/seccomp" + place)) << message;
  };
  expect("/defaultAction", [](auto& p) { p.default_action = "ALLOW"; });
  expect("/defaultAction", [](auto& p) {
    p.default_action = "SCMP_ACT_NOTIFY";
    p.listener_path = "/x";
  });
  expect("/defaultErrnoRet", [](auto& p) { p.default_errno_ret = 5000; });
  expect("/architectures/3", [](auto& p) { p.architectures.push_back("SCMP_ARCH_VAX"); });
  expect("/flags/0", [](auto& p) { p.flags = {"FAST"}; });
  expect("/syscalls/0/action", [](auto& p) { p.syscalls[0].action = "ALLOW"; });
  expect("/syscalls/0/errnoRet", [](auto& p) { p.syscalls[0].errno_ret = 1; });
  expect("/syscalls/0/names", [](auto& p) { p.syscalls[0].names.clear(); });
  expect("/syscalls/0/args/0/op", [](auto& p) {
    p.syscalls[0].args = {{.index = 0, .value = 0, .value_two = 0, .op = "EQ"}};
  });
  expect("/syscalls/0/args/0/index", [](auto& p) {
    p.syscalls[0].args = {{.index = 6, .value = 0, .value_two = 0, .op = "SCMP_CMP_EQ"}};
  });
  expect("/listenerMetadata", [](auto& p) { p.listener_metadata = "x"; });
  expect("/listenerPath", [](auto& p) { p.syscalls[0] = Rule({"mkdir"}, "SCMP_ACT_NOTIFY"); });
  expect("/syscalls/0", [](auto& p) { p.syscalls[0].action = "SCMP_ACT_NOTIFY"; });
}

TEST(Seccomp, CacheGivesTheSameProgramAndNoOther) {
  const test::TempDir temp;
  const SeccompCache cache = CacheOf(temp.path() + "/cache", "text");
  EXPECT_FALSE(ReadCachedProgram(cache).has_value());
  oci::Seccomp profile = AllowList();
  profile.flags = {"SECCOMP_FILTER_FLAG_LOG"};
  const auto compiled = Compile(profile, {}, cache);
  ASSERT_TRUE(compiled.has_value());
  const auto cached = ReadCachedProgram(cache);
  ASSERT_TRUE(cached.has_value());
  const auto bytes = [](const SeccompProgram& program) {
    return std::string(reinterpret_cast<const char*>(program.instructions.data()),
                       program.instructions.size() * sizeof(sock_filter));
  };
  EXPECT_EQ(bytes(*cached), bytes(*compiled));
  EXPECT_EQ(cached->flags, SECCOMP_FILTER_FLAG_LOG);
  EXPECT_FALSE(ReadCachedProgram(CacheOf(cache.directory, "other")).has_value());
  for (const auto& entry : std::filesystem::directory_iterator(cache.directory)) {
    struct stat status {};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
  }
}

TEST(Seccomp, AListenersProgramIsNotCached) {
  const test::TempDir temp;
  const SeccompCache cache = CacheOf(temp.path() + "/cache", "text");
  oci::Seccomp profile = AllowList();
  profile.listener_path = "/run/agent";
  ASSERT_TRUE(Compile(profile, {}, cache).has_value());
  EXPECT_FALSE(ReadCachedProgram(cache).has_value());
}

}  // namespace
}  // namespace coracle::runtime
