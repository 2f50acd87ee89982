// process.scheduler: config.md#linux-process, sched_setattr(2).
#pragma once

#include <cstdint>
#include <string>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

// The kernel's struct sched_attr, first version: glibc 2.36 and the kernel's own header do not go
// together.
struct SchedulerAttributes {
  std::uint32_t size = 48;
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0, deadline_ns = 0, period_ns = 0;
};
static_assert(sizeof(SchedulerAttributes) == 48);

Result<SchedulerAttributes> PlanScheduler(const oci::Scheduler& scheduler,
                                          const std::string& pointer);
Status SetScheduler(const SchedulerAttributes& attributes);

}  // namespace coracle::runtime
