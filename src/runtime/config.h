// config.json, read as quickly as it may be: most of one is its seccomp profile, the same text for
// every container. A profile that has been compiled before is told by its text alone, and taken
// from the cache unparsed: it was checked when it was put there.
#pragma once

#include <optional>
#include <string>

#include "coracle/oci/spec.h"
#include "coracle/runtime/container.h"
#include "seccomp.h"

namespace coracle::runtime {

struct Config {
  oci::Spec spec;  // without linux.seccomp where `filter` stands for it
  std::optional<SeccompProgram> filter = {};
  SeccompCache cache;  // where the filter is, or is to be
};

// Errors are those of oci::ParseSpec. `what` is the path for messages.
Result<Config> ParseConfig(const Runtime& runtime, const std::string& text,
                           const std::string& what);

// All but linux.seccomp, of a configuration that has been checked before.
Result<oci::Spec> ParseWithoutSeccomp(const std::string& text, const std::string& what);

}  // namespace coracle::runtime
