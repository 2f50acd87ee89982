// linux.resources as writes to cgroup v2 files: config-linux.md#control-groups.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cgroup_manager.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct LimitWrites {
  std::vector<CgroupWrite> limits, last_limits;
  std::vector<std::string> problems;  // "/pointer: what is wrong; what is allowed"
};

// Pure. `pointer` is the place of `resources` in its document ("/linux/resources", "").
LimitWrites PlanLimits(const oci::Resources& resources, const std::string& pointer);

// Drops the writes whose controller is not among `controllers`. One that would have set no limit
// ("max") goes silently; the others are returned, as "/pointer: needs the cgroup controller ...".
std::vector<std::string> DropUnavailable(std::vector<CgroupWrite>& writes,
                                         const std::vector<std::string>& controllers,
                                         const std::string& where);

// The words of cgroup.controllers in the directory `path`.
Result<std::vector<std::string>> ReadControllers(const std::string& path);

// "memory" of "memory.max"; empty for the files that every cgroup has (cgroup.*).
std::string ControllerOf(const std::string& file);

// v1's shares (2 to 262144) to v2's weight (1 to 10000), so that least, default and most agree:
// ceil(10^((l*l + 125*l)/612 - 7/34)) with l = log2(shares).
std::uint64_t CpuWeight(std::uint64_t shares);

}  // namespace coracle::runtime
