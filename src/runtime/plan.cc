#include "plan.h"

#include <sched.h>

#include <algorithm>

#include "rootless.h"
#include "spec_namespaces.h"
#include "systemd_manager.h"

namespace coracle::runtime {
namespace {

// config-linux.md#cgroup-ownership: who gets the cgroup, when the container has its own cgroup
// namespace and may write to its cgroup mount.
std::optional<uid_t> CgroupOwner(const oci::Spec& spec, const IdMapsPlan& maps) {
  if (!HasNewNamespace(spec, "cgroup")) return std::nullopt;
  const auto writable = [](const oci::Mount& mount) {
    return mount.type == "cgroup" && std::ranges::find(mount.options, "ro") == mount.options.end();
  };
  if (std::ranges::none_of(spec.mounts, writable)) return std::nullopt;
  const uid_t uid = spec.process ? spec.process->user.uid : 0;
  if (!maps.uids.empty()) return HostId(maps.uids, uid);
  return uid == 0 ? std::nullopt : std::optional(uid);
}

// Without a cgroup2 file system: nothing, for whom that will do.
Result<CgroupPlan> PlanContainerCgroup(const Runtime& runtime, const oci::Spec& spec,
                                       const std::string& id) {
  if (runtime.cgroup_manager == CgroupManager::kDisabled) return PlanWithoutCgroup(spec);
  const bool lenient = runtime.ignore_missing_controllers;
  const Result<CgroupHost> host = ReadCgroupHost();
  if (runtime.cgroup_manager == CgroupManager::kSystemd)
    return host.has_value() ? PlanSystemdCgroup(*host, spec, id, lenient) : host.error();
  Result<CgroupPlan> plan = PlanCgroup(host.has_value() ? *host : CgroupHost(), spec, id, lenient);
  if (host.has_value()) return plan;
  if (!plan.has_value() || plan->asked_for || !IsRootless(runtime)) return host.error();
  return CgroupPlan();
}

}  // namespace

Result<ProgramPlan> PlanProgram(const oci::Spec& spec, const oci::Process& process,
                                const std::string& pointer, const Warn& warn) {
  ProgramPlan plan;
  plan.process = TRY(PlanProcess(process, pointer));
  plan.process.personality = TRY(PlanPersonality(spec));
  plan.process.memory_policy = TRY(PlanMemoryPolicy(spec));
  plan.capabilities = TRY(PlanCapabilities(process, FindNamespace(spec, "user") != nullptr, warn));
  plan.rlimits = TRY(PlanRlimits(process, pointer));
  plan.terminal = process.terminal;
  plan.console_size = process.console_size;
  return plan;
}

Result<Plan> MakePlan(const Runtime& runtime, const PlanInput& input) {
  const oci::Spec& spec = input.spec;
  Plan plan;
  plan.id = input.id;
  plan.bundle = input.bundle;
  plan.namespaces = TRY(PlanNamespaces(spec));
  plan.net_devices = PlanNetDevices(spec);
  plan.id_maps = TRY(PlanIdMaps(spec));
  plan.rdt = TRY(PlanRdt(spec, input.id));
  plan.rootfs = TRY(PlanRootfs(spec, input.bundle));
  plan.mounts = TRY(PlanMounts(spec, input.bundle));
  plan.devices = TRY(PlanDevices(spec));
  plan.masked_paths = TRY(PlanMaskedPaths(spec));
  plan.sysctl = TRY(PlanSysctl(spec));
  plan.seccomp = TRY(PlanSeccomp(spec));
  plan.hooks = spec.hooks;
  if (spec.process) plan.program = TRY(PlanProgram(spec, *spec.process, "/process", runtime.warn));
  if (plan.program) plan.program->process.final_cpus.reset();  // execCPUAffinity is exec's alone
  plan.cgroup = TRY(PlanContainerCgroup(runtime, spec, input.id));
  plan.cgroup_owner = CgroupOwner(spec, plan.id_maps);
  if (runtime.warn)
    for (const std::string& warning : plan.cgroup.warnings) runtime.warn(warning);
  return plan;
}

}  // namespace coracle::runtime
