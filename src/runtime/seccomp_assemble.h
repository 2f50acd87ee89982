// Writes classic BPF for seccomp from its end to its beginning: jumps go forward only, so that
// whatever a jump leads to is there already, and equal ends are shared.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace coracle::runtime {

// A comparison of one argument of a system call.
struct ArgumentTest {
  enum class Kind { kEqual, kGreater, kGreaterOrEqual, kMaskedEqual };
  unsigned index = 0;
  Kind kind = Kind::kEqual;
  bool negated = false;  // kLess is not kGreaterOrEqual, and so on
  std::uint64_t value = 0;
  std::uint64_t mask = 0;  // of kMaskedEqual
  bool narrow = false;     // an architecture whose arguments have 32 bits
};

class SeccompAssembler {
 public:
  // A place in the program, counted from its end.
  using Label = std::size_t;

  Label Return(std::uint32_t action);
  Label Test(const ArgumentTest& test, Label yes, Label no);
  // `kind`: BPF_JEQ, BPF_JGT, BPF_JGE.
  Label Jump(unsigned kind, std::uint32_t value, Label yes, Label no);
  // Loads a word of seccomp_data and goes on at `next`.
  Label Load(std::size_t offset, Label next);

  struct Range {
    std::uint32_t first = 0;
    std::uint32_t action = 0;
    bool is_label = false;  // then `label` says what happens
    Label label = 0;
  };
  // Where the accumulator belongs, by halves; ranges[0].first is 0.
  Label Search(std::span<const Range> ranges);

  [[nodiscard]] std::vector<sock_filter> Program() const;

 private:
  Label Emit(std::uint16_t code, std::uint32_t value, Label yes = 0, Label no = 0);
  void FallInto(Label next);
  Label Near(Label label);
  Label TestWord(const ArgumentTest& test, bool high, Label yes, Label no);

  std::vector<sock_filter> reversed_;
  std::map<std::uint32_t, Label> returns_;  // action -> the one emitted last
};

}  // namespace coracle::runtime
