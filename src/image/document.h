// JSON documents from registries and archives: what is refused before anything reads them.
#pragma once

#include <string>
#include <string_view>

#include "coracle/base/result.h"

namespace coracle::image {

inline constexpr std::size_t kMaxManifest = 4UL << 20;  // bytes
inline constexpr std::size_t kMaxConfig = 8UL << 20;
inline constexpr std::size_t kMaxLayers = 256;
inline constexpr std::size_t kMaxIndexEntries = 1000;

bool IsIndexType(std::string_view media_type);
bool IsManifestType(std::string_view media_type);

// Refuses nesting deeper than 64 and repeated keys: two readers could see two documents.
Status CheckDocument(std::string_view text, const std::string& what);

// Says whether `text` is an index or a manifest. It must be one of them only, and its own
// `mediaType` must agree with `media_type` if both are given (CVE-2021-41190).
enum class DocumentKind : bool { kManifest, kIndex };
Result<DocumentKind> KindOfDocument(std::string_view text, const std::string& media_type,
                                    const std::string& what);

}  // namespace coracle::image
