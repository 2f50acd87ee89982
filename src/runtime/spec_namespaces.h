// Questions that several plans ask about linux.namespaces.
#pragma once

#include <algorithm>
#include <string_view>

#include "coracle/oci/spec.h"

namespace coracle::runtime {

// The entry of that type, or null: then the container shares the caller's namespace.
inline const oci::Namespace* FindNamespace(const oci::Spec& spec, std::string_view type) {
  const auto& all = spec.linux_.namespaces;
  const auto found = std::ranges::find(all, type, &oci::Namespace::type);
  return found == all.end() ? nullptr : &*found;
}

inline bool HasNewNamespace(const oci::Spec& spec, std::string_view type) {
  const oci::Namespace* found = FindNamespace(spec, type);
  return found != nullptr && found->path.empty();
}

}  // namespace coracle::runtime
