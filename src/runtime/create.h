// State of one `create`, on the runtime's side.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clone.h"
#include "config.h"
#include "container_process.h"
#include "coracle/base/step.h"
#include "coracle/runtime/container.h"
#include "net_devices.h"
#include "plan.h"
#include "state_file.h"

namespace coracle::runtime {

struct Creation {
  const Runtime& runtime;
  const CreateOptions& options;
  const Config& config;
  const Plan& plan;
  const std::string& config_text;
  StatePaths paths;
  StateFile state;
  int listen_fds = 0;

  UniqueFd lock = {};
  Cgroup cgroup = {};
  std::vector<std::string> rdt_made = {};
  std::optional<SeccompProgram> seccomp = {};
  UniqueFd root = {};
  std::vector<UniqueFd> mount_sources = {};
  std::vector<OpenedNamespace> namespaces = {};
  UniqueFd listener = {}, console = {}, sync = {};
  ClonedProcess process = {};
  std::optional<TraceMemory> trace = {};
  UniqueFd network = {};  // a joined network namespace, unless it is ours
  MovedNetDevices moved_devices = {};
};

std::span<const Step<Creation>> CreateSteps();

}  // namespace coracle::runtime
