// State of one `exec`, on the runtime's side.
#pragma once

#include <optional>
#include <span>

#include "clone.h"
#include "config.h"
#include "container_process.h"
#include "coracle/base/step.h"
#include "coracle/runtime/container.h"
#include "plan.h"
#include "state_file.h"

namespace coracle::runtime {

struct Execution {
  const Runtime& runtime;
  const ExecOptions& options;
  StatePaths paths;
  int listen_fds = 0;

  StateFile state = {};
  Config config = {};
  ProgramPlan program = {};
  NamespacesPlan namespaces = {};  // of the container
  std::optional<SeccompProgram> seccomp = {};
  UniqueFd target_root = {};  // where no mount namespace leads to it
  UniqueFd target = {};       // pidfd of the container process
  std::uint64_t target_namespaces = 0;
  UniqueFd cgroup = {}, console = {}, sync = {};
  ClonedProcess process = {};
  std::optional<TraceMemory> trace = {};
};

std::span<const Step<Execution>> ExecSteps();

}  // namespace coracle::runtime
