// cgroup v2 of a container, found in mountinfo (a hybrid host has it elsewhere). cgroups(7),
// Documentation/admin-guide/cgroup-v2.rst; config-linux.md#control-groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::runtime {

struct Pressure {  // Documentation/accounting/psi.rst
  double avg10 = 0, avg60 = 0, avg300 = 0;
  std::uint64_t total_us = 0;
};

struct DeviceIo {
  std::uint64_t major = 0, minor = 0, rbytes = 0, wbytes = 0, rios = 0, wios = 0;
};

// What the cgroup files say; a missing controller leaves its members empty. "max" = 2^64-1.
struct CgroupStats {
  std::optional<std::uint64_t> cpu_usage_us, cpu_user_us, cpu_system_us, cpu_periods, cpu_throttled,
      cpu_throttled_us;
  std::optional<std::uint64_t> memory_usage, memory_limit, memory_max_usage, swap_usage, swap_limit,
      anon, file, kernel_stack, file_mapped, inactive_file, active_file, pgfault, pgmajfault, oom,
      oom_kill;
  std::optional<std::uint64_t> pids_current, pids_limit;
  std::vector<DeviceIo> io;
  std::optional<Pressure> cpu_some, cpu_full, memory_some, memory_full, io_some, io_full;
};

// Absolute mount point of cgroup2 on this host ("/sys/fs/cgroup", "/sys/fs/cgroup/unified").
Result<std::string> CgroupMount();

// `path` is absolute, as CgroupPath() returns it. A directory that is gone: kNotFound.
Result<CgroupStats> ReadCgroupStats(const std::string& path);

// All pids in `path` and below.
Result<std::vector<int>> CgroupPids(const std::string& path);

}  // namespace coracle::runtime
