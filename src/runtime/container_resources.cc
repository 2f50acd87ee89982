// The verbs about a container's cgroup: pause, resume, update; and what else can be asked of it.
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

#include "cgroup_manager.h"
#include "config.h"
#include "coracle/base/file.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/runtime/container.h"
#include "intel_rdt.h"
#include "loaded.h"
#include "processes.h"
#include "systemd_manager.h"

namespace coracle::runtime {
namespace {

Status PauseUnnamed(const Runtime& runtime, const std::string& id) {
  const StatePaths paths = PathsOf(runtime.root, id);
  const UniqueFd lock = TRY(LockState(paths));
  const Loaded loaded = TRY(Load(runtime, id));
  const oci::ContainerStatus status = DeriveStatus(paths, loaded.file);
  if (status != oci::ContainerStatus::kRunning && status != oci::ContainerStatus::kCreated)
    return NotRunning();
  if (loaded.file.cgroup.empty()) return NoCgroup("pause");
  return FreezeCgroup(loaded.file.cgroup);
}

Status ResumeUnnamed(const Runtime& runtime, const std::string& id) {
  const StatePaths paths = PathsOf(runtime.root, id);
  const UniqueFd lock = TRY(LockState(paths));
  const Loaded loaded = TRY(Load(runtime, id));
  if (DeriveStatus(paths, loaded.file) != oci::ContainerStatus::kPaused)
    return Error{Code::kWrongState, 0, "container not paused"};
  return ThawCgroup(loaded.file.cgroup);
}

// Before the files: what systemd writes to them later is what we write now.
Status UpdateUnit(const StateFile& file, CgroupPlan& update) {
  if (file.systemd_unit.empty()) return {};
  std::vector<UnitProperty> properties = LimitProperties(update.limits);
  std::ranges::move(LimitProperties(update.last_limits), std::back_inserter(properties));
  if (!update.devices.empty())
    std::ranges::move(DeviceProperties(update.devices), std::back_inserter(properties));
  return SetUnitProperties({.name = file.systemd_unit, .user_manager = file.user_manager},
                           properties);
}

Status UpdateUnnamed(const Runtime& runtime, const std::string& id,
                     const oci::Resources& resources) {
  const StatePaths paths = PathsOf(runtime.root, id);
  const UniqueFd lock = TRY(LockState(paths));
  const Loaded loaded = TRY(Load(runtime, id));
  if (!IsAlive(loaded.file)) return NotRunning();
  const std::string& cgroup = loaded.file.cgroup;
  if (cgroup.empty()) return NoCgroup("update");
  CgroupPlan update = TRY(PlanUpdate(cgroup, resources, runtime.ignore_missing_controllers));
  if (runtime.warn)
    for (const std::string& warning : update.warnings) runtime.warn(warning);
  TRY(UpdateUnit(loaded.file, update));
  return ApplyUpdate(cgroup, update);
}

Status UpdateRdtUnnamed(const Runtime& runtime, const std::string& id,
                        const std::vector<std::string>& schemata) {
  const UniqueFd lock = TRY(LockState(PathsOf(runtime.root, id)));
  const Loaded loaded = TRY(Load(runtime, id));
  if (!IsAlive(loaded.file)) return NotRunning();
  if (loaded.file.rdt_places.empty())
    return Error{
        Code::kUnsupported, 0,
        "the container was created without /linux/intelRdt, and so has no schema to change"};
  const UniqueFd resctrl = TRY(OpenRdt(loaded.file.rdt_mount));
  return WriteRdtSchemata(resctrl.get(), loaded.file.rdt_places.front(), schemata);
}

Result<std::vector<pid_t>> PidsUnnamed(const Runtime& runtime, const std::string& id) {
  const Loaded loaded = TRY(Load(runtime, id));
  if (!IsAlive(loaded.file)) return NotRunning();
  return ProcessesOf(loaded.file);
}

Result<oci::Process> ProcessUnnamed(const Runtime& runtime, const std::string& id) {
  const Loaded loaded = TRY(Load(runtime, id));
  oci::Spec spec =
      TRY(ParseWithoutSeccomp(TRY(ReadFile(loaded.paths.config)), loaded.paths.config));
  if (!spec.process)
    return Error{Code::kInvalidConfig, EINVAL, "/process: missing in the container's config.json"};
  return std::move(*spec.process);
}

Result<std::string> CgroupPathUnnamed(const Runtime& runtime, const std::string& id) {
  return TRY(Load(runtime, id)).file.cgroup;
}

}  // namespace

Status Pause(const Runtime& runtime, const std::string& id) {
  return Named("pause", id, PauseUnnamed(runtime, id));
}

Status Resume(const Runtime& runtime, const std::string& id) {
  return Named("resume", id, ResumeUnnamed(runtime, id));
}

Status Update(const Runtime& runtime, const std::string& id, const oci::Resources& resources) {
  return Named("update", id, UpdateUnnamed(runtime, id, resources));
}

Status UpdateRdt(const Runtime& runtime, const std::string& id,
                 const std::vector<std::string>& schemata) {
  return Named("update", id, UpdateRdtUnnamed(runtime, id, schemata));
}

Result<std::vector<pid_t>> Pids(const Runtime& runtime, const std::string& id) {
  return Named("processes of", id, PidsUnnamed(runtime, id));
}

Result<std::string> CgroupPath(const Runtime& runtime, const std::string& id) {
  return Named("cgroup of", id, CgroupPathUnnamed(runtime, id));
}

Result<oci::Process> ContainerProcess(const Runtime& runtime, const std::string& id) {
  return Named("process of", id, ProcessUnnamed(runtime, id));
}

bool IgnoreMissingControllersByEnvironment() {
  const char* value = std::getenv("CORACLE_IGNORE_MISSING_CONTROLLERS");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace coracle::runtime
