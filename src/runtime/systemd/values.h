// A JSON value as a D-Bus value of a given type.
#pragma once

#include <systemd/sd-bus.h>

#include <string_view>

#include "coracle/base/json.h"

namespace coracle::runtime::systemd {

// One complete type of `signature` is taken from its front. Arrays and structs are JSON arrays.
// Returns a negative errno as sd-bus does; -EINVAL for a value of another type.
int AppendValue(sd_bus_message* message, std::string_view& signature, const Json& value);

}  // namespace coracle::runtime::systemd
