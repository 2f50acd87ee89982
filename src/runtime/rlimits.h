// process.rlimits: config.md#posix-process, getrlimit(2).
#pragma once

#include <sys/resource.h>

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct RlimitPlan {
  int resource = 0;  // RLIMIT_*
  std::string name;
  struct rlimit value = {};
};

// Unknown or repeated types, and soft above hard, are errors. `pointer` is the process's place:
// "/process", or "" for a process document.
Result<std::vector<RlimitPlan>> PlanRlimits(const oci::Process& process,
                                            const std::string& pointer);

// While the process still has its privileges: raising a hard limit needs CAP_SYS_RESOURCE in the
// host's user namespace, which only the parent has when the container has its own. 0: ourselves.
Status SetRlimits(const std::vector<RlimitPlan>& plan, pid_t pid = 0);

}  // namespace coracle::runtime
