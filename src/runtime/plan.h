// Everything that a bundle asks for, resolved and validated before anything is touched. The steps
// of create, of the container process and of exec read this and decide nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capabilities.h"
#include "cgroup_manager.h"
#include "coracle/oci/spec.h"
#include "coracle/runtime/container.h"
#include "devices.h"
#include "id_maps.h"
#include "intel_rdt.h"
#include "masked_paths.h"
#include "mounts.h"
#include "namespaces.h"
#include "net_devices.h"
#include "process_attributes.h"
#include "rlimits.h"
#include "rootfs.h"
#include "seccomp.h"
#include "sysctl.h"

namespace coracle::runtime {

// What becomes of a process at its start, of the container's first one or of an exec.
struct ProgramPlan {
  ProcessPlan process;
  sys::CapabilitySets capabilities;
  std::vector<RlimitPlan> rlimits;
  bool terminal = false;
  std::optional<oci::ConsoleSize> console_size;
};

struct Plan {
  std::string id, bundle;  // absolute
  NamespacesPlan namespaces;
  std::vector<NetDevicePlan> net_devices;
  IdMapsPlan id_maps;
  CgroupPlan cgroup;
  std::optional<uid_t> cgroup_owner;  // delegated to it
  std::optional<RdtPlan> rdt;
  RootfsPlan rootfs;
  MountsPlan mounts;
  DevicesPlan devices;
  MaskedPathsPlan masked_paths;
  SysctlPlan sysctl;
  std::optional<SeccompPlan> seccomp;
  std::optional<ProgramPlan> program;  // config.md: process is needed at start only
  oci::Hooks hooks;
};

struct PlanInput {
  const oci::Spec& spec;
  std::string id, bundle;
};
Result<Plan> MakePlan(const Runtime& runtime, const PlanInput& input);

// `pointer`: place of the process in its document. Personality is the container's.
Result<ProgramPlan> PlanProgram(const oci::Spec& spec, const oci::Process& process,
                                const std::string& pointer, const Warn& warn);

}  // namespace coracle::runtime
