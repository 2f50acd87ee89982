#include "scheduler.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace coracle::runtime {
namespace {

// The index is the kernel's number.
constexpr std::array<std::string_view, 7> kPolicies = {"SCHED_OTHER",   "SCHED_FIFO", "SCHED_RR",
                                                       "SCHED_BATCH",   "SCHED_ISO",  "SCHED_IDLE",
                                                       "SCHED_DEADLINE"};
// The index is the number of the bit.
constexpr std::array<std::string_view, 7> kFlags = {
    "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM",     "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",   "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX"};

Error BadScheduler(const std::string& place, const std::string& text) {
  return {Code::kInvalidConfig, EINVAL, place + ": " + text};
}

Status CheckRanges(const oci::Scheduler& scheduler, const std::string& pointer) {
  if (scheduler.nice < -20 || scheduler.nice > 19)
    return BadScheduler(pointer + "/nice", "goes from -20 to 19");
  const bool real_time = scheduler.policy == "SCHED_FIFO" || scheduler.policy == "SCHED_RR";
  if (scheduler.priority != 0 && !real_time)
    return BadScheduler(pointer + "/priority", "is for SCHED_FIFO and SCHED_RR only");
  if (scheduler.priority < 0 || scheduler.priority > 99)
    return BadScheduler(pointer + "/priority", "goes from 1 to 99");
  const bool has_deadline =
      (scheduler.runtime_ns | scheduler.deadline_ns | scheduler.period_ns) != 0;
  if (has_deadline && scheduler.policy != "SCHED_DEADLINE")
    return BadScheduler(pointer, "runtime, deadline and period are for SCHED_DEADLINE only");
  return {};
}

}  // namespace

Result<SchedulerAttributes> PlanScheduler(const oci::Scheduler& scheduler,
                                          const std::string& pointer) {
  const auto policy = std::ranges::find(kPolicies, scheduler.policy);
  if (policy == kPolicies.end())
    return BadScheduler(pointer + "/policy",
                        "\"" + scheduler.policy + "\" is not a policy of sched(7)");
  TRY(CheckRanges(scheduler, pointer));
  SchedulerAttributes attributes;
  attributes.policy = static_cast<std::uint32_t>(policy - kPolicies.begin());
  attributes.nice = scheduler.nice;
  attributes.priority = static_cast<std::uint32_t>(scheduler.priority);
  attributes.runtime_ns = scheduler.runtime_ns;
  attributes.deadline_ns = scheduler.deadline_ns;
  attributes.period_ns = scheduler.period_ns;
  for (std::size_t i = 0; i < scheduler.flags.size(); ++i) {
    const auto flag = std::ranges::find(kFlags, scheduler.flags[i]);
    if (flag == kFlags.end())
      return BadScheduler(pointer + "/flags/" + std::to_string(i),
                          "\"" + scheduler.flags[i] + "\" is not a flag of sched_setattr(2)");
    attributes.flags |= std::uint64_t{1} << static_cast<unsigned>(flag - kFlags.begin());
  }
  return attributes;
}

Status SetScheduler(const SchedulerAttributes& attributes) {
  if (::syscall(SYS_sched_setattr, 0, &attributes, 0) == 0) return {};
  return KernelError("sched_setattr(2) policy=" + std::string(kPolicies.at(attributes.policy)));
}

}  // namespace coracle::runtime
