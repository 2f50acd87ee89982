// A container as `state` and `list` print it: state.json of the specification, and what people
// (and callers of runc) also want to see.
#pragma once

#include <string>

#include "cli.h"

namespace coracle::runtime::cli {

// With "created" (RFC 3339) and "owner" (the name, or "#uid").
Result<Json> DescribeContainer(const Runtime& runtime, const oci::State& state);

}  // namespace coracle::runtime::cli
