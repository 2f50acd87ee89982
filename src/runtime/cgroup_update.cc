#include <charconv>
#include <ranges>

#include "cgroup_devices.h"
#include "cgroup_limits.h"
#include "cgroup_manager.h"
#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "coracle/runtime/cgroup.h"

namespace coracle::runtime {
namespace {

// "max" is -1, as in the specification; so is a file that does not exist: nothing limits there.
std::int64_t ReadLimit(const std::string& path) {
  const Result<std::string> text = ReadFile(path);
  std::int64_t value = -1;
  if (text.has_value()) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

// Two files hold two members each. What `resources` leaves out of such a pair stays as it is now.
void FillFromCurrent(const std::string& path, oci::Resources& resources) {
  if (resources.memory.has_value() && resources.memory->swap.value_or(0) > 0 &&
      resources.memory->limit.value_or(0) == 0)
    resources.memory->limit = ReadLimit(path + "/memory.max");
  if (resources.cpu.has_value() && resources.cpu->period_us.value_or(0) != 0 &&
      resources.cpu->quota_us.value_or(0) == 0)
    resources.cpu->quota_us = ReadLimit(path + "/cpu.max");
}

// config-linux.md#memory: a limit below what is used now would call the OOM killer.
Status CheckMemoryUsage(const std::string& path, const oci::Resources& resources) {
  if (!resources.memory.has_value() || !resources.memory->check_before_update.value_or(false) ||
      resources.memory->limit.value_or(0) <= 0)
    return {};
  const std::int64_t usage = ReadLimit(path + "/memory.current");
  if (usage <= *resources.memory->limit) return {};
  return Error{Code::kInvalidConfig, 0,
               "resources: /memory/limit: got " + std::to_string(*resources.memory->limit) +
                   "; with checkBeforeUpdate it must not be below the usage of " +
                   std::to_string(usage)};
}

}  // namespace

Result<CgroupPlan> PlanUpdate(const std::string& path, const oci::Resources& resources,
                              bool ignore_missing_controllers) {
  oci::Resources wanted = resources;
  FillFromCurrent(path, wanted);
  LimitWrites writes = PlanLimits(wanted, "");
  if (!writes.problems.empty()) return JsonProblems("resources", writes.problems);
  TRY(CheckMemoryUsage(path, wanted));

  CgroupPlan update;
  const std::vector<std::string> controllers = TRY(ReadControllers(path));
  update.warnings = DropUnavailable(writes.limits, controllers, path);
  std::ranges::move(DropUnavailable(writes.last_limits, controllers, path),
                    std::back_inserter(update.warnings));
  if (!update.warnings.empty() && !ignore_missing_controllers) {
    Error error = JsonProblems("resources", update.warnings);
    error.code = Code::kUnsupported;
    return error;
  }
  update.limits = std::move(writes.limits);
  update.last_limits = std::move(writes.last_limits);
  if (!wanted.devices.empty()) update.devices = WithDefaultDevices(wanted.devices);
  return update;
}

Status ApplyUpdate(const std::string& path, const CgroupPlan& update) {
  const UniqueFd directory = TRY(OpenCgroup(path));
  if (!update.devices.empty()) TRY(AttachDevices(directory.get(), update.devices));
  TRY(ApplyLimits(directory.get(), update.limits));
  return ApplyLimits(directory.get(), update.last_limits);
}

}  // namespace coracle::runtime
