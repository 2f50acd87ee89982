// linux.memoryPolicy: config-linux.md#memory-policy, set_mempolicy(2).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct MemoryPolicyPlan {
  int mode = 0;                      // with its flags, as set_mempolicy(2) takes it
  std::vector<unsigned long> nodes;  // a bit for each
  std::string text;                  // for errors: "MPOL_BIND nodes=0-1"
};

Result<std::optional<MemoryPolicyPlan>> PlanMemoryPolicy(const oci::Spec& spec);

// Of the calling thread; execve(2) keeps it.
Status SetMemoryPolicy(const MemoryPolicyPlan& plan);

// The names of the specification, sorted.
std::span<const std::string_view> MemoryPolicyModes();
std::span<const std::string_view> MemoryPolicyFlags();

}  // namespace coracle::runtime
