// CRI v1's generated messages under a short name: `v1` is not to be confused with our own layer
// `runtime`.
#pragma once

#include "runtime/v1/api.pb.h"

namespace coracle::cri {
namespace v1 = ::runtime::v1;  // NOLINT(misc-unused-alias-decls)
}  // namespace coracle::cri
