// Cgroup statistics in the form of `runc events --stats`, which monitoring programs read.
#pragma once

#include "coracle/base/json.h"
#include "coracle/runtime/cgroup.h"

namespace coracle::runtime::cli {

Json StatsJson(const CgroupStats& stats);

}  // namespace coracle::runtime::cli
