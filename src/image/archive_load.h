// Images from an archive: docker-archive or OCI layout, as tar (compressed or not) or directory.
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "store_context.h"

namespace coracle::image {

// Ids of the images. `name_if_none` names an image that the archive does not name. The caller
// holds the store's lock (shared).
Result<std::vector<std::string>> LoadArchive(StoreContext& store, const std::string& path,
                                             const std::string& name_if_none);

}  // namespace coracle::image
