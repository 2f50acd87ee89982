// process.capabilities: config.md#linux-process, capabilities(7).
#pragma once

#include <functional>
#include <string>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"
#include "coracle/sys/capabilities.h"

namespace coracle::runtime {

using Warn = std::function<void(const std::string&)>;  // may be empty

// The sets the process will have. What the kernel or this program's own sets cannot grant is left
// out with a warning, as the specification asks; so is an ambient capability that is not both
// permitted and inheritable. `new_user_namespace`: a process has every capability in a new one.
// Without `capabilities` all sets are empty.
Result<sys::CapabilitySets> PlanCapabilities(const oci::Process& process, bool new_user_namespace,
                                             const Warn& warn);

// In this order around SetUser (process_attributes.h), both in the container process.
Status LimitBoundingSet(const sys::CapabilitySets& sets);
Status SetCapabilities(const sys::CapabilitySets& sets);

}  // namespace coracle::runtime
