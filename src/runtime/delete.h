// State of one `delete`.
#pragma once

#include <optional>
#include <span>

#include "coracle/base/step.h"
#include "coracle/oci/spec.h"
#include "coracle/runtime/container.h"
#include "state_file.h"

namespace coracle::runtime {

struct Deletion {
  const Runtime& runtime;
  StatePaths paths;
  bool force = false;
  UniqueFd lock = {};
  std::optional<StateFile> file = {};  // empty: a creation that died at once
  Result<oci::Spec> spec = oci::Spec{};
};

std::span<const Step<Deletion>> DeleteSteps();

}  // namespace coracle::runtime
