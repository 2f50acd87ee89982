#include "coracle/sys/bpf.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

namespace coracle::sys {
namespace {

constexpr bpf_insn kReturnOne = {
    .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 1};
constexpr bpf_insn kExit = {
    .code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};

TEST(LoadCgroupDeviceProgram, LoadsOneThatEnds) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
  constexpr std::array<bpf_insn, 2> kProgram = {kReturnOne, kExit};
  const Result<UniqueFd> fd = LoadCgroupDeviceProgram(kProgram, "allow");
  EXPECT_TRUE(fd.has_value()) << fd.error().message;
}

TEST(LoadCgroupDeviceProgram, RepeatsWhatTheVerifierSays) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to load BPF programs";
  constexpr std::array<bpf_insn, 1> kProgram = {kExit};  // R0 was never set
  const Result<UniqueFd> fd = LoadCgroupDeviceProgram(kProgram, "broken");
  ASSERT_FALSE(fd.has_value());
  EXPECT_EQ(fd.error().errnum, EACCES);
  EXPECT_NE(fd.error().message.find("R0 !read_ok"), std::string::npos) << fd.error().message;
  EXPECT_EQ(fd.error().message.find('\n'), std::string::npos);
}

TEST(CgroupPrograms, SaysThatAFileIsNoCgroup) {
  const Result<std::vector<CgroupProgram>> programs = CgroupPrograms(0, BPF_CGROUP_DEVICE);
  ASSERT_FALSE(programs.has_value());
  EXPECT_NE(programs.error().message.find("BPF_PROG_QUERY"), std::string::npos);
}

}  // namespace
}  // namespace coracle::sys
