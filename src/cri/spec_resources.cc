#include "spec_resources.h"

#include "text.h"

namespace coracle::cri {
namespace {

Error Bad(const std::string& where, const std::string& text) {
  return {Code::kInvalidConfig, 0, where + ": " + text};
}

Status NotNegative(std::int64_t value, const std::string& where) {
  if (value >= 0) return {};
  return Bad(where, std::to_string(value) + ": expected 0 (no limit) or more");
}

Result<oci::MemoryLimits> MakeMemory(const v1::LinuxContainerResources& limits,
                                     const std::string& where) {
  const std::int64_t memory = limits.memory_limit_in_bytes();
  const std::int64_t swap = limits.memory_swap_limit_in_bytes();
  if (memory < -1) return Bad(where + "/memory_limit_in_bytes", "expected -1, 0 or more");
  if (swap < -1) return Bad(where + "/memory_swap_limit_in_bytes", "expected -1, 0 or more");
  if (swap > 0 && memory > swap) {
    return Bad(where + "/memory_swap_limit_in_bytes",
               std::to_string(swap) + " is memory and swap together: expected at least " +
                   std::to_string(memory));
  }
  oci::MemoryLimits out;
  if (memory != 0) out.limit = memory;
  if (swap != 0) out.swap = swap;
  return out;
}

Result<oci::CpuLimits> MakeCpu(const v1::LinuxContainerResources& limits,
                               const std::string& where) {
  TRY(NotNegative(limits.cpu_period(), where + "/cpu_period"));
  TRY(NotNegative(limits.cpu_shares(), where + "/cpu_shares"));
  oci::CpuLimits out;
  if (limits.cpu_period() > 0) out.period_us = static_cast<std::uint64_t>(limits.cpu_period());
  if (limits.cpu_quota() != 0) out.quota_us = limits.cpu_quota();
  if (limits.cpu_shares() > 0) out.shares = static_cast<std::uint64_t>(limits.cpu_shares());
  out.cpus = limits.cpuset_cpus();
  out.mems = limits.cpuset_mems();
  return out;
}

}  // namespace

Result<oci::Resources> MakeResources(const v1::LinuxContainerResources& limits,
                                     const std::string& where) {
  oci::Resources out;
  const oci::MemoryLimits memory = TRY(MakeMemory(limits, where));
  if (memory.limit || memory.swap) out.memory = memory;
  const oci::CpuLimits cpu = TRY(MakeCpu(limits, where));
  if (cpu.shares || cpu.quota_us || cpu.period_us || !cpu.cpus.empty() || !cpu.mems.empty()) {
    out.cpu = cpu;
  }
  for (const v1::HugepageLimit& limit : limits.hugepage_limits()) {
    out.hugepage_limits.push_back({.page_size = limit.page_size(), .limit = limit.limit()});
  }
  for (const auto& [file, text] : limits.unified()) {
    if (file.empty() || file.find('/') != std::string::npos) {
      return Bad(where + "/unified", "\"" + file + "\": expected the name of a cgroup file");
    }
    out.unified[file] = text;
  }
  return out;
}

v1::LinuxContainerResources MergeResources(const v1::LinuxContainerResources& current,
                                           const v1::LinuxContainerResources& update) {
  v1::LinuxContainerResources merged = current;
  if (update.hugepage_limits_size() > 0) merged.clear_hugepage_limits();
  for (const auto& [file, text] : update.unified()) (*merged.mutable_unified())[file] = text;
  // Protobuf's own rule is CRI's: a scalar that is 0 or empty does not overwrite.
  v1::LinuxContainerResources rest = update;
  rest.clear_unified();
  merged.MergeFrom(rest);
  return merged;
}

Result<std::string> PodCgroup(const std::string& cgroup_parent, const std::string& sandbox_id) {
  const std::string where = "/config/linux/cgroup_parent";
  if (cgroup_parent.empty()) return "/coracle-pod-" + sandbox_id;
  for (const std::string& part : Split(cgroup_parent, '/')) {
    if (part == "..") return Bad(where, "\"" + cgroup_parent + "\": expected no \"..\"");
  }
  if (cgroup_parent.find('/') != std::string::npos || !cgroup_parent.ends_with(".slice")) {
    return CleanPath("/" + cgroup_parent);
  }
  // systemd.slice(5): every dash of the name is one more level.
  const std::string name = cgroup_parent.substr(0, cgroup_parent.size() - 6);
  if (name.empty() || name.starts_with('-') || name.ends_with('-') ||
      name.find("--") != std::string::npos) {
    return Bad(where, "\"" + cgroup_parent + "\" is not the name of a slice");
  }
  std::string path, prefix;
  for (const std::string& part : Split(name, '-')) {
    prefix += (prefix.empty() ? "" : "-") + part;
    path += "/" + prefix + ".slice";
  }
  return path;
}

}  // namespace coracle::cri
