// State of one `start`, on the runtime's side.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "coracle/base/step.h"
#include "coracle/runtime/container.h"
#include "state_file.h"
#include "trace_memory.h"

namespace coracle::runtime {

struct Starting {
  const Runtime& runtime;
  StatePaths paths;
  UniqueFd lock = {};
  StateFile file = {};
  UniqueFd connection = {};
  std::optional<TraceMemory> trace = {};
};

std::span<const Step<Starting>> StartSteps();

}  // namespace coracle::runtime
