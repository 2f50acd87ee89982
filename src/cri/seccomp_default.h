// The seccomp profile that RuntimeDefault means.
#pragma once

#include <string>
#include <vector>

#include "coracle/oci/spec.h"

namespace coracle::cri {

// For a container that may hold `capabilities` ("CAP_SYS_ADMIN", ...), on this architecture; 32-bit
// programs of the same machine are killed, or may call the same.
oci::Seccomp DefaultSeccomp(const std::vector<std::string>& capabilities, bool with_32_bit);

}  // namespace coracle::cri
