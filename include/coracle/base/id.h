// Names that people and programs give to containers, and names that we make up.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "coracle/base/result.h"

namespace coracle {

// The rule of runc and containerd: letters, digits, `_`, `+`, `-`, `.`; not `.` or `..`; 1 to 1024
// bytes. It becomes a directory name, so nothing else is let through.
Status ValidateId(std::string_view id);

// `bytes` random bytes from getrandom(2), as lower-case hexadecimal.
std::string RandomHex(std::size_t bytes = 32);

}  // namespace coracle
