#include "seccomp_assemble.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <cstddef>

namespace coracle::runtime {
namespace {

// A conditional jump reaches 255 instructions; up to two more may come between.
constexpr std::size_t kReach = 253;

}  // namespace

SeccompAssembler::Label SeccompAssembler::Emit(std::uint16_t code, std::uint32_t value, Label yes,
                                               Label no) {
  const std::size_t here = reversed_.size();
  const bool jumps = BPF_CLASS(code) == BPF_JMP && BPF_OP(code) != BPF_JA;
  sock_filter instruction{code, 0, 0, value};
  if (jumps) {
    instruction.jt = static_cast<std::uint8_t>(here - yes - 1);
    instruction.jf = static_cast<std::uint8_t>(here - no - 1);
  }
  reversed_.push_back(instruction);
  return here;
}

// Makes `next` the instruction behind the one that is emitted now.
void SeccompAssembler::FallInto(Label next) {
  const std::size_t here = reversed_.size();
  if (next + 1 == here) return;
  const sock_filter& target = reversed_[next];
  if (BPF_CLASS(target.code) == BPF_RET)
    returns_[target.k] = Emit(target.code, target.k);
  else
    Emit(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(here - next - 1));
}

SeccompAssembler::Label SeccompAssembler::Near(Label label) {
  const std::size_t here = reversed_.size();
  if (here - label <= kReach) return label;
  const sock_filter& target = reversed_[label];
  if (BPF_CLASS(target.code) == BPF_RET) return Return(target.k);
  return Emit(BPF_JMP | BPF_JA, static_cast<std::uint32_t>(here - label - 1));
}

SeccompAssembler::Label SeccompAssembler::Return(std::uint32_t action) {
  const auto known = returns_.find(action);
  if (known != returns_.end() && reversed_.size() - known->second <= kReach) return known->second;
  return returns_[action] = Emit(BPF_RET | BPF_K, action);
}

SeccompAssembler::Label SeccompAssembler::Jump(unsigned kind, std::uint32_t value, Label yes,
                                               Label no) {
  if (yes == no) return yes;
  yes = Near(yes);
  no = Near(no);
  return Emit(static_cast<std::uint16_t>(BPF_JMP | kind | BPF_K), value, yes, no);
}

SeccompAssembler::Label SeccompAssembler::Load(std::size_t offset, Label next) {
  FallInto(next);
  return Emit(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

SeccompAssembler::Label SeccompAssembler::Search(std::span<const Range> ranges) {
  const Range& first = ranges.front();
  if (ranges.size() == 1) return first.is_label ? first.label : Return(first.action);
  const std::size_t middle = ranges.size() / 2;
  const Label above = Search(ranges.subspan(middle));
  const Label below = Search(ranges.first(middle));
  return Jump(BPF_JGE, ranges[middle].first, above, below);
}

// One half of a 64-bit argument; x86_64, aarch64 and riscv64 are little-endian.
SeccompAssembler::Label SeccompAssembler::TestWord(const ArgumentTest& test, bool high, Label yes,
                                                   Label no) {
  const unsigned shift = high ? 32 : 0;
  const auto value = static_cast<std::uint32_t>(test.value >> shift);
  const auto mask = static_cast<std::uint32_t>(test.mask >> shift);
  using Kind = ArgumentTest::Kind;
  const unsigned kind = test.kind == Kind::kGreater          ? BPF_JGT
                        : test.kind == Kind::kGreaterOrEqual ? BPF_JGE
                                                             : BPF_JEQ;
  Label at = Jump(kind, value, yes, no);
  if (test.kind == Kind::kMaskedEqual) {
    FallInto(at);
    at = Emit(BPF_ALU | BPF_AND | BPF_K, mask);
  }
  return Load(offsetof(seccomp_data, args) + 8UL * test.index + (high ? 4 : 0), at);
}

SeccompAssembler::Label SeccompAssembler::Test(const ArgumentTest& test, Label yes, Label no) {
  if (test.negated) std::swap(yes, no);
  const Label low = TestWord(test, false, yes, no);
  if (test.narrow) return low;
  using Kind = ArgumentTest::Kind;
  if (test.kind == Kind::kEqual || test.kind == Kind::kMaskedEqual)
    return TestWord(test, true, low, no);
  const auto high = static_cast<std::uint32_t>(test.value >> 32U);
  const Label not_greater = Jump(BPF_JEQ, high, low, no);
  const Label greater = Jump(BPF_JGT, high, yes, not_greater);
  return Load(offsetof(seccomp_data, args) + 8UL * test.index + 4, greater);
}

std::vector<sock_filter> SeccompAssembler::Program() const {
  return {reversed_.rbegin(), reversed_.rend()};
}

}  // namespace coracle::runtime
