// CRI's security context of a container -> what config.json says. Pure; every field that cannot be
// honoured is an error that names it, never a weaker container.
#pragma once

#include <string>
#include <vector>

#include "api.h"
#include "coracle/base/result.h"
#include "coracle/oci/spec.h"
#include "host_facts.h"

namespace coracle::cri {

// Where the security context is in a CreateContainerRequest: JSON pointer for errors.
inline constexpr const char* kSecurityContext = "/config/linux/security_context";

// Default set, add, drop; privileged and "ALL" mean all that the daemon itself has.
Result<oci::Capabilities> MakeCapabilities(const v1::LinuxContainerSecurityContext& context,
                                           const HostFacts& host);

// What seccomp shall be: a kind, and for kLocalhost the path of the profile.
struct SeccompChoice {
  enum class Kind : std::uint8_t { kUnconfined, kRuntimeDefault, kLocalhost } kind;
  std::string path;
};
Result<SeccompChoice> ChooseSeccomp(const v1::LinuxContainerSecurityContext& context);
// A profile in config.json's own form (linux.seccomp).
Result<oci::Seccomp> ParseSeccompProfile(const std::string& text, const std::string& what);

// The profile's name, or "" for none.
Result<std::string> ChooseAppArmor(const v1::LinuxContainerSecurityContext& context,
                                   const HostFacts& host);

// What is not to be seen or changed, unless the request says otherwise; nothing for privileged.
std::vector<std::string> MaskedPaths(const v1::LinuxContainerSecurityContext& context);
std::vector<std::string> ReadonlyPaths(const v1::LinuxContainerSecurityContext& context);

}  // namespace coracle::cri
