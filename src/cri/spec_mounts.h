// The mounts of a container's config.json. Pure.
#pragma once

#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"
#include "spec_builder.h"

namespace coracle::cri {

// What every container has, then the pod's files, the image's volumes and the request's mounts: a
// later one hides an earlier one of the same place; deeper places come after shallower ones.
Result<std::vector<oci::Mount>> MakeMounts(const SpecInput& input);

// Where a mount goes: absolute, clean, not "/".
Status ValidateMount(const v1::Mount& mount, const std::string& where);

}  // namespace coracle::cri
