// The USER of an image ("name", "1000", "name:group", ...) as numbers, looked up in the image's own
// /etc/passwd and /etc/group.
#pragma once

#include <string>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::image::cli {

// All digits is never a name, and a number out of range is an error: neither becomes root.
Result<oci::User> ResolveImageUser(const std::string& text, const std::string& passwd,
                                   const std::string& group);

}  // namespace coracle::image::cli
