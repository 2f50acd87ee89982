// From a profile to the kernel's program: names and numbers by libseccomp, what it does not know by
// a few instructions in front of its program.
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
