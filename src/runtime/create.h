// State of one `create`, on the runtime's side.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "clone.h"
#include "config.h"
#include "container_process.h"
#include "coracle/base/file.h"
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
  bool starts_it = false;  // we ourselves, and at once

  UniqueFd lock = {};
  Cgroup cgroup = {};
  std::vector<std::string> rdt_made = {};
  std::optional<SeccompProgram> seccomp = {};
  UniqueFd kernel_mounts = {};  // what the new mount namespace is copied from, unless from ours
  UniqueFd root = {};
  std::vector<UniqueFd> mount_sources = {};
  std::vector<OpenedNamespace> namespaces = {};
  UniqueFd listener = {}, console = {}, sync = {};
  ClonedProcess process = {};
  PendingFile record = {};  // of the process
  std::optional<TraceMemory> trace = {};
  UniqueFd network = {};  // a joined network namespace, unless it is ours
  MovedNetDevices moved_devices = {};
};

std::span<const Step<Creation>> CreateSteps();

// What `start` would have to find again.
struct Startable {
  StateFile file;
  UniqueFd lock, sync;
};
// Without start.sock: the container process waits for kCreated on `sync`, and ends with it. `then`
// is called when all has gone well, before anything is tidied up.
Status CreateToStart(const Runtime& runtime, const CreateOptions& options,
                     const std::function<void(Startable)>& then);

}  // namespace coracle::runtime
