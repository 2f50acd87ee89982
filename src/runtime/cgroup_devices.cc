#include "cgroup_devices.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <ranges>

#include "cgroup_manager.h"
#include "coracle/sys/bpf.h"

namespace coracle::runtime {
namespace {

constexpr const char* kProgramName = "coracle_devices";  // tells ours from others'
constexpr std::int32_t kAllAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;

// Where the program keeps what it was asked. kUndecided: the accesses no rule has spoken on yet.
enum Register : std::uint8_t {
  kVerdict = BPF_REG_0,
  kContext = BPF_REG_1,
  kType = BPF_REG_2,
  kUndecided = BPF_REG_3,
  kMajor = BPF_REG_4,
  kMinor = BPF_REG_5,
  kScratch = BPF_REG_6,
};

bpf_insn Alu(int operation, Register target, std::int32_t value) {
  return {.code = static_cast<std::uint8_t>(BPF_ALU | operation | BPF_K),
          .dst_reg = target,
          .src_reg = 0,
          .off = 0,
          .imm = value};
}

bpf_insn AluRegister(int operation, Register target, Register source) {
  return {.code = static_cast<std::uint8_t>(BPF_ALU | operation | BPF_X),
          .dst_reg = target,
          .src_reg = source,
          .off = 0,
          .imm = 0};
}

bpf_insn Load(Register target, std::int16_t offset) {
  return {.code = BPF_LDX | BPF_MEM | BPF_W,
          .dst_reg = target,
          .src_reg = kContext,
          .off = offset,
          .imm = 0};
}

// To the next rule; CompileRule knows how far that is when the rule is complete.
bpf_insn JumpIf(int operation, Register left, std::int32_t right) {
  return {.code = static_cast<std::uint8_t>(BPF_JMP32 | operation | BPF_K),
          .dst_reg = left,
          .src_reg = 0,
          .off = 0,
          .imm = right};
}

bpf_insn Exit() {
  return {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0};
}

// A deny rule without access denies all, an allow rule without access allows nothing.
std::int32_t AccessBits(const oci::DeviceRule& rule) {
  if (rule.access.empty()) return rule.allow ? 0 : kAllAccess;
  std::int32_t bits = 0;
  for (const char letter : rule.access) {
    if (letter == 'r') bits |= BPF_DEVCG_ACC_READ;
    if (letter == 'w') bits |= BPF_DEVCG_ACC_WRITE;
    if (letter == 'm') bits |= BPF_DEVCG_ACC_MKNOD;
  }
  return bits;
}

// Every condition that fails jumps to the next rule.
std::vector<bpf_insn> CompileRule(const oci::DeviceRule& rule) {
  std::vector<bpf_insn> code;
  const std::int32_t access = AccessBits(rule);
  if (access == 0) return code;
  if (rule.type != "a" && !rule.type.empty())
    code.push_back(
        JumpIf(BPF_JNE, kType, rule.type == "b" ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
  if (rule.major.value_or(-1) >= 0)
    code.push_back(JumpIf(BPF_JNE, kMajor, static_cast<std::int32_t>(*rule.major)));
  if (rule.minor.value_or(-1) >= 0)
    code.push_back(JumpIf(BPF_JNE, kMinor, static_cast<std::int32_t>(*rule.minor)));
  if (rule.allow && access != kAllAccess) {
    code.push_back(Alu(BPF_AND, kUndecided, ~access));
    code.push_back(JumpIf(BPF_JNE, kUndecided, 0));
  } else if (access != kAllAccess) {
    code.push_back(Alu(BPF_MOV, kScratch, access));
    code.push_back(AluRegister(BPF_AND, kScratch, kUndecided));
    code.push_back(JumpIf(BPF_JEQ, kScratch, 0));
  }
  code.push_back(Alu(BPF_MOV, kVerdict, rule.allow ? 1 : 0));
  code.push_back(Exit());
  for (std::size_t i = 0; i < code.size(); ++i) {
    if (BPF_CLASS(code[i].code) == BPF_JMP32)
      code[i].off = static_cast<std::int16_t>(code.size() - i - 1);
  }
  return code;
}

bool DecidesEverything(const std::vector<bpf_insn>& rule) {
  return !rule.empty() && std::ranges::none_of(rule, [](const bpf_insn& instruction) {
    return BPF_CLASS(instruction.code) == BPF_JMP32;
  });
}

}  // namespace

std::vector<oci::DeviceRule> WithDefaultDevices(std::vector<oci::DeviceRule> rules) {
  const auto allow = [&rules](const char* type, std::optional<std::int64_t> major,
                              std::optional<std::int64_t> minor, const char* access) {
    rules.push_back(
        {.allow = true, .type = type, .major = major, .minor = minor, .access = access});
  };
  allow("c", {}, {}, "m");
  allow("b", {}, {}, "m");
  allow("c", 1, 3, "rwm");     // null
  allow("c", 1, 5, "rwm");     // zero
  allow("c", 1, 7, "rwm");     // full
  allow("c", 1, 8, "rwm");     // random
  allow("c", 1, 9, "rwm");     // urandom
  allow("c", 5, 0, "rwm");     // tty
  allow("c", 5, 2, "rwm");     // ptmx
  allow("c", 136, {}, "rwm");  // pts/*
  allow("c", 10, 200, "rwm");  // net/tun
  return rules;
}

// Newest rule first: the first one that speaks on an access has the last word.
std::vector<bpf_insn> CompileDeviceRules(std::span<const oci::DeviceRule> rules) {
  std::vector<bpf_insn> program = {
      Load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),
      Load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),
      Load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
      AluRegister(BPF_MOV, kUndecided, kType),
      Alu(BPF_RSH, kUndecided, 16),  // access_type is access << 16 | type
      Alu(BPF_AND, kType, 0xFFFF),
  };
  for (const oci::DeviceRule& rule : std::views::reverse(rules)) {
    const std::vector<bpf_insn> code = CompileRule(rule);
    program.insert(program.end(), code.begin(), code.end());
    if (DecidesEverything(code)) return program;  // the verifier refuses code that cannot run
  }
  program.push_back(Alu(BPF_MOV, kVerdict, 0));
  program.push_back(Exit());
  return program;
}

Status AttachDevices(int cgroup_fd, std::span<const oci::DeviceRule> rules) {
  const UniqueFd program =
      TRY(sys::LoadCgroupDeviceProgram(CompileDeviceRules(rules), kProgramName));
  const std::vector<sys::CgroupProgram> older =
      TRY(sys::CgroupPrograms(cgroup_fd, BPF_CGROUP_DEVICE));
  TRY(sys::AttachToCgroup(cgroup_fd, program.get(), BPF_CGROUP_DEVICE));
  for (const sys::CgroupProgram& old : older) {
    if (old.name == kProgramName)
      TRY(sys::DetachFromCgroup(cgroup_fd, old.fd.get(), BPF_CGROUP_DEVICE));
  }
  return {};
}

}  // namespace coracle::runtime
