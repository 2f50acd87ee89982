// From a profile to the kernel's program. Numbers of each architecture are merged to ranges of one
// action and found by halves: the kernel runs the program for every call, and once for every number
// when it is loaded, so its length is paid for twice.
//
// The rules mean what they mean to libseccomp, which knows the names and is the oracle of the
// tests. Where that gives no clear meaning: of several rules with conditions on one call that hold,
// the strictest counts. Numbers above those that the profile names are ENOSYS.
#pragma once

#include <linux/filter.h>

#include <optional>
#include <string>
#include <vector>

#include "capabilities.h"
#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

// The kernel's number of "SCMP_ACT_ERRNO" and its errno; empty for an unknown name.
std::optional<std::uint32_t> SeccompAction(const std::string& name, std::uint32_t errno_ret);
// libseccomp's token; 0 for an architecture that it does not know (no machine it runs on has it);
// empty for a name that is not in the specification.
std::optional<std::uint32_t> SeccompArchitecture(const std::string& name);
std::optional<int> SeccompOperator(const std::string& name);

// `profile` is validated. Names that mean nothing on this machine go to `warn`.
Result<std::vector<sock_filter>> CompileProfile(const oci::Seccomp& profile, const Warn& warn);

// What else than the profile decides what CompileProfile makes.
std::string CompilerIdentity();

}  // namespace coracle::runtime
