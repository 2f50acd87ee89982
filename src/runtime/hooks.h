// Hooks: config.md#posix-platform-hooks. Programs that get the container's state on stdin.
#pragma once

#include <string_view>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"
#include "coracle/oci/state.h"

namespace coracle::runtime {

// In order; the first that fails ends the run. `kind` is the specification's name, for messages.
Status RunHooks(const std::vector<oci::Hook>& hooks, std::string_view kind,
                const oci::State& state);

}  // namespace coracle::runtime
