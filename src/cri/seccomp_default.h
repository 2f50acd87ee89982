// The seccomp profile that RuntimeDefault means.
#pragma once

#include <string>
#include <vector>

#include "coracle/oci/spec.h"

namespace coracle::cri {

// For a container that may hold `capabilities` ("CAP_SYS_ADMIN", ...), on this architecture.
oci::Seccomp DefaultSeccomp(const std::vector<std::string>& capabilities);

}  // namespace coracle::cri
