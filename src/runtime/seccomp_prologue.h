// Instructions in front of libseccomp's program: system calls newer than libseccomp, and ENOSYS for
// those newer than the profile.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

namespace coracle::runtime {

struct SeccompPrologue {
  struct Architecture {
    std::uint32_t token = 0;  // libseccomp's
    unsigned highest = 0;     // number of a system call that the profile names
  };
  std::vector<Architecture> architectures;
  std::map<unsigned, std::uint32_t> rules;  // NewSyscallNumber -> action
  bool enosys_above_highest = false;        // above what the profile names
  bool enosys_above_known = false;          // above what this program knows
};

// System calls have the same number everywhere since 424, up to an offset per architecture.
std::optional<unsigned> NewSyscallNumber(std::string_view name);
unsigned NewSyscallOn(std::uint32_t architecture, unsigned number);

// Falls through to what follows for everything it does not decide. Empty when there is nothing to
// decide.
std::vector<sock_filter> MakePrologue(const SeccompPrologue& prologue);

}  // namespace coracle::runtime
