// Between the cgroup files and what Stats answers (io.containerd.cgroups.v2.Metrics).
#pragma once

#include <string>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/runtime/cgroup.h"

namespace coracle::shim {

inline constexpr std::string_view kMetricsType = "io.containerd.cgroups.v2.Metrics";

// A missing controller is a missing message.
std::string EncodeMetrics(const runtime::CgroupStats& stats);
Result<runtime::CgroupStats> DecodeMetrics(const std::string& bytes);

}  // namespace coracle::shim
