#include "platform.h"

#include <algorithm>
#include <cctype>

namespace coracle::image {
namespace {

// "v8" -> 8, "" -> 0; anything else -1.
int VariantNumber(const std::string& variant) {
  if (variant.empty()) return 0;
  if (variant.size() != 2 || variant[0] != 'v' || variant[1] < '0' || variant[1] > '9') return -1;
  return variant[1] - '0';
}

bool IsWord(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
  });
}

}  // namespace

oci::Platform NormalisePlatform(oci::Platform platform) {
  for (std::string* part : {&platform.os, &platform.architecture, &platform.variant})
    std::transform(part->begin(), part->end(), part->begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string& architecture = platform.architecture;
  std::string& variant = platform.variant;
  if (architecture == "x86_64" || architecture == "x86-64") architecture = "amd64";
  if (architecture == "i386") architecture = "386";
  if (architecture == "aarch64") architecture = "arm64";
  if (architecture == "armhf") architecture = "arm", variant = "v7";
  if (architecture == "armel") architecture = "arm", variant = "v6";
  if (architecture == "arm" && variant.empty()) variant = "v7";
  if (variant.size() == 1 && variant[0] >= '0' && variant[0] <= '9') variant = "v" + variant;
  // The first of its kind goes without saying.
  if ((architecture == "arm64" && variant == "v8") || (architecture == "amd64" && variant == "v1"))
    variant.clear();
  return platform;
}

Result<oci::Platform> ParsePlatform(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (parts.size() > 3 || !std::all_of(parts.begin(), parts.end(), IsWord))
    return Error{Code::kInvalidConfig, 0,
                 "platform \"" + text + "\": expected os/architecture[/variant]"};
  if (parts.size() == 1) parts.insert(parts.begin(), "linux");
  return NormalisePlatform({parts[0], parts[1], parts.size() == 3 ? parts[2] : ""});
}

std::string PlatformText(const oci::Platform& platform) {
  return platform.os + "/" + platform.architecture +
         (platform.variant.empty() ? "" : "/" + platform.variant);
}

bool PlatformMatches(const oci::Platform& offered, const oci::Platform& wanted) {
  const oci::Platform a = NormalisePlatform(offered);
  const oci::Platform b = NormalisePlatform(wanted);
  if (a.os != b.os || a.architecture != b.architecture) return false;
  if (a.variant == b.variant || a.variant.empty()) return true;
  // arm/v6 runs on v7. amd64/v3 only where v3 was asked for: HostPlatform() does not promise it.
  const int have = VariantNumber(a.variant);
  return have >= 0 && have <= VariantNumber(b.variant);
}

Result<oci::Descriptor> SelectPlatform(const std::vector<oci::Descriptor>& manifests,
                                       const oci::Platform& wanted) {
  const oci::Descriptor* best = nullptr;
  std::string offered;
  for (const oci::Descriptor& descriptor : manifests) {
    if (!descriptor.platform.has_value()) continue;
    const oci::Platform platform = NormalisePlatform(*descriptor.platform);
    if (platform.os == "unknown") continue;  // an attestation
    offered += (offered.empty() ? "" : ", ") + PlatformText(platform);
    if (!PlatformMatches(platform, wanted)) continue;
    if (best == nullptr ||
        VariantNumber(platform.variant) > VariantNumber(NormalisePlatform(*best->platform).variant))
      best = &descriptor;
  }
  // An index of one manifest often does not say for what: its configuration will.
  if (best == nullptr && manifests.size() == 1 && !manifests[0].platform.has_value())
    best = manifests.data();
  if (best != nullptr) return *best;
  return Error{Code::kNotFound, 0,
               "no manifest for platform " + PlatformText(wanted) +
                   "; there is: " + (offered.empty() ? "none that names a platform" : offered)};
}

}  // namespace coracle::image
