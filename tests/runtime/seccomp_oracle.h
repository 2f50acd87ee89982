// What libseccomp makes of a profile, and an interpreter for both its program and ours.
#pragma once

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "coracle/oci/spec.h"

namespace coracle::test {

// The kernel's classic BPF, as far as filters use it.
inline std::uint32_t Evaluate(const std::vector<sock_filter>& program, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  for (std::size_t pc = 0; pc < program.size(); ++pc) {
    const sock_filter& insn = program[pc];
    const auto jump = [&](bool taken) { pc += taken ? insn.jt : insn.jf; };
    switch (insn.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + insn.k, 4);
        break;
      case BPF_JMP | BPF_JA:
        pc += insn.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(accumulator == insn.k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        jump(accumulator > insn.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(accumulator >= insn.k);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= insn.k;
        break;
      case BPF_RET | BPF_K:
        return insn.k;
      default:
        ADD_FAILURE() << "unexpected instruction " << insn.code;
        return 0;
    }
  }
  ADD_FAILURE() << "ran off the end";
  return 0;
}

// Names that libseccomp does not know, and ENOSYS above the highest number that a profile names,
// are ours alone: the oracle has a model of them.
class SeccompOracle {
 public:
  explicit SeccompOracle(const oci::Seccomp& profile);
  [[nodiscard]] std::uint32_t Decide(const seccomp_data& data) const;

 private:
  struct Architecture {
    std::uint32_t highest = 0;
    std::map<std::uint32_t, std::uint32_t> added;  // number of a newer call -> action
  };
  void Export(void* filter);
  void NoteNames(const oci::SeccompRule& rule, std::uint32_t action);

  std::uint32_t default_action_ = 0;
  bool enosys_ = false;
  std::map<std::uint32_t, Architecture> architectures_;  // by libseccomp's token
  std::vector<sock_filter> program_;
};

}  // namespace coracle::test
