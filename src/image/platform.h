// Which manifest of an index is for this machine.
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/image.h"

namespace coracle::image {

// "linux/arm64/v8", "arm64", "x86_64" -> normalised; a malformed one is kInvalidConfig.
Result<oci::Platform> ParsePlatform(const std::string& text);
// x86_64 -> amd64, aarch64 -> arm64, arm64/v8 -> arm64, arm -> arm/v7, amd64/v1 -> amd64.
oci::Platform NormalisePlatform(oci::Platform platform);
std::string PlatformText(const oci::Platform& platform);
// An image for `offered` runs on `wanted`: the variant may be an older one.
bool PlatformMatches(const oci::Platform& offered, const oci::Platform& wanted);
// The best match; kNotFound lists what there is.
Result<oci::Descriptor> SelectPlatform(const std::vector<oci::Descriptor>& manifests,
                                       const oci::Platform& wanted);

}  // namespace coracle::image
