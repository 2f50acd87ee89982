#include "memory_policy.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "number_list.h"

namespace coracle::runtime {
namespace {

// The kernel has no more (MAX_NUMNODES).
constexpr unsigned kMaxNodes = 1024;
constexpr unsigned kBits = sizeof(unsigned long) * CHAR_BIT;
// Newer than the headers of Debian 12.
constexpr int kWeightedInterleave = 6;

constexpr std::array<std::string_view, 7> kModes = {
    "MPOL_BIND",      "MPOL_DEFAULT",        "MPOL_INTERLEAVE",         "MPOL_LOCAL",
    "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"};
constexpr std::array<int, 7> kModeNumbers = {
    MPOL_BIND,      MPOL_DEFAULT,        MPOL_INTERLEAVE,    MPOL_LOCAL,
    MPOL_PREFERRED, MPOL_PREFERRED_MANY, kWeightedInterleave};
constexpr std::array<std::string_view, 3> kFlags = {"MPOL_F_NUMA_BALANCING",
                                                    "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"};
constexpr std::array<int, 3> kFlagBits = {MPOL_F_NUMA_BALANCING, MPOL_F_RELATIVE_NODES,
                                          MPOL_F_STATIC_NODES};

Error BadPolicy(const std::string& member, const std::string& text) {
  return {Code::kInvalidConfig, EINVAL, "/linux/memoryPolicy/" + member + ": " + text};
}

// 0 for none of `names`, which no caller asks for: the document was validated.
template <std::size_t kSize>
int NumberOf(const std::string& name, const std::array<std::string_view, kSize>& names,
             const std::array<int, kSize>& numbers) {
  const auto found = std::ranges::find(names, name);
  return found == names.end() ? 0 : numbers.at(static_cast<std::size_t>(found - names.begin()));
}

Status CheckNodes(const oci::MemoryPolicy& policy, int mode, bool empty) {
  const bool takes_none = mode == MPOL_DEFAULT || mode == MPOL_LOCAL;
  if (takes_none && !empty) return BadPolicy("nodes", policy.mode + " takes no nodes");
  if (!takes_none && mode != MPOL_PREFERRED && empty)
    return BadPolicy("nodes", policy.mode + " needs at least one node");
  return {};
}

}  // namespace

Result<std::optional<MemoryPolicyPlan>> PlanMemoryPolicy(const oci::Spec& spec) {
  if (!spec.linux_.memory_policy) return std::optional<MemoryPolicyPlan>();
  const oci::MemoryPolicy& policy = *spec.linux_.memory_policy;
  if (std::ranges::find(kModes, policy.mode) == kModes.end())
    return BadPolicy("mode", "\"" + policy.mode + "\" is not a mode of set_mempolicy(2)");
  MemoryPolicyPlan plan;
  plan.mode = NumberOf(policy.mode, kModes, kModeNumbers);
  const auto nodes = ParseNumberList(policy.nodes, kMaxNodes);
  if (!nodes)
    return BadPolicy("nodes", "\"" + policy.nodes +
                                  "\" is not a list of memory nodes like \"0-3,7\", below 1024");
  TRY(CheckNodes(policy, plan.mode, nodes->empty()));
  for (const unsigned node : *nodes) {
    plan.nodes.resize(std::max<std::size_t>(plan.nodes.size(), node / kBits + 1));
    plan.nodes[node / kBits] |= 1UL << (node % kBits);
  }
  plan.text = policy.mode;
  for (const std::string& flag : policy.flags) {
    plan.mode |= NumberOf(flag, kFlags, kFlagBits);
    plan.text += "|" + flag;
  }
  if (!policy.nodes.empty()) plan.text += " nodes=" + policy.nodes;
  return std::optional(std::move(plan));
}

Status SetMemoryPolicy(const MemoryPolicyPlan& plan) {
  // The kernel takes one bit less than it is told of.
  const unsigned long bits = plan.nodes.empty() ? 0 : plan.nodes.size() * kBits + 1;
  if (::syscall(SYS_set_mempolicy, plan.mode, bits == 0 ? nullptr : plan.nodes.data(), bits) == 0)
    return {};
  return Within("/linux/memoryPolicy", KernelError("set_mempolicy(2) mode=" + plan.text));
}

std::span<const std::string_view> MemoryPolicyModes() { return kModes; }
std::span<const std::string_view> MemoryPolicyFlags() { return kFlags; }

}  // namespace coracle::runtime
