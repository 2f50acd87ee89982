// A user namespace that only serves to describe an id mapping to mount_setattr(2).
#pragma once

#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

Result<UniqueFd> NewUserNamespace(const std::vector<oci::IdMapping>& uids,
                                  const std::vector<oci::IdMapping>& gids);

}  // namespace coracle::runtime
