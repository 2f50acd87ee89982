// The merged, read-only tree of a stack of layers as one directory descriptor, mounted nowhere
// that anybody else sees.
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::image {

// `layers_dir` holds the layers; `layers` are names in it, lowest first. Uses only short relative
// paths, so that any number of layers fits into mount(2)'s one page of options.
Result<UniqueFd> OpenMergedView(const std::string& layers_dir,
                                const std::vector<std::string>& layers);

}  // namespace coracle::image
