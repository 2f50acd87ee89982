#include "rlimits.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace coracle::runtime {
namespace {

struct Limit {
  std::string_view name;
  int resource;
};
constexpr std::array<Limit, 16> kLimits = {{
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
}};

std::string LimitText(rlim_t value) {
  return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
}

Error LimitError(const RlimitPlan& limit, pid_t pid, int errnum) {
  std::string text = "prlimit(2) " + limit.name + " soft=" + LimitText(limit.value.rlim_cur) +
                     " hard=" + LimitText(limit.value.rlim_max);
  struct rlimit now {};
  if (errnum == EPERM &&
      ::prlimit(pid, static_cast<__rlimit_resource>(limit.resource), nullptr, &now) == 0)
    text +=
        " (raising the hard limit above " + LimitText(now.rlim_max) + " needs CAP_SYS_RESOURCE)";
  return KernelError(text, errnum);
}

}  // namespace

Result<std::vector<RlimitPlan>> PlanRlimits(const oci::Process& process,
                                            const std::string& pointer) {
  std::vector<RlimitPlan> plan;
  for (std::size_t i = 0; i < process.rlimits.size(); ++i) {
    const oci::Rlimit& limit = process.rlimits[i];
    const std::string place = pointer + "/rlimits/" + std::to_string(i);
    const auto row = std::ranges::find(kLimits, limit.type, &Limit::name);
    if (row == kLimits.end())
      return Error{Code::kInvalidConfig, EINVAL,
                   place + "/type: \"" + limit.type + "\" is not a resource of getrlimit(2)"};
    if (std::ranges::find(plan, row->resource, &RlimitPlan::resource) != plan.end())
      return Error{Code::kInvalidConfig, EINVAL, place + "/type: " + limit.type + " is repeated"};
    if (limit.soft > limit.hard)
      return Error{
          Code::kInvalidConfig, EINVAL,
          place + ": soft " + LimitText(limit.soft) + " is above hard " + LimitText(limit.hard)};
    plan.push_back({.resource = row->resource,
                    .name = limit.type,
                    .value = {.rlim_cur = limit.soft, .rlim_max = limit.hard}});
  }
  return plan;
}

Status SetRlimits(const std::vector<RlimitPlan>& plan, pid_t pid) {
  for (const RlimitPlan& limit : plan) {
    const auto resource = static_cast<__rlimit_resource>(limit.resource);
    if (::prlimit(pid, resource, &limit.value, nullptr) != 0) return LimitError(limit, pid, errno);
  }
  return {};
}

}  // namespace coracle::runtime
