// linux.seccomp: config-linux.md#seccomp. Compiled in the parent, or taken from the
// cache, loaded by the container process with seccomp(2). A profile that cannot be applied exactly
// is an error, never a weaker filter.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "capabilities.h"
#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct SeccompPlan {
  oci::Seccomp profile;         // validated
  unsigned flags = 0;           // SECCOMP_FILTER_FLAG_*
  bool wants_listener = false;  // some rule says SCMP_ACT_NOTIFY
};

struct SeccompProgram {
  std::vector<sock_filter> instructions = {};
  unsigned flags = 0;
  bool wants_listener = false;
  std::string listener_path = {}, listener_metadata = {};
};

// Empty without linux.seccomp. `warn` hears of system call names this machine does not know.
Result<std::optional<SeccompPlan>> PlanSeccomp(const oci::Spec& spec);

// Where a compiled profile is kept.
struct SeccompCache {
  std::string directory;  // "": nowhere. Made when missing, 0700
  std::string key;
};
// `text` is of config.json, without NUL.
SeccompCache CacheOf(std::string directory, std::string_view text);
// Empty when it is not there. One with a listener never is: that depends on more than the text.
std::optional<SeccompProgram> ReadCachedProgram(const SeccompCache& cache);

// Parent. Puts the program into the cache.
Result<SeccompProgram> CompileSeccomp(const SeccompPlan& plan, const SeccompCache& cache,
                                      const Warn& warn);

// Container process. The listener's descriptor, when the program wants one, else empty.
Result<UniqueFd> LoadSeccomp(const SeccompProgram& program);

// Hands the listener to the agent at listenerPath with the container process state
// (config-linux.md#containerprocessstate): by the parent, which gets `listener_fd` from the
// container process over the sync socket. `state` is the container's state.
Status SendSeccompListener(const SeccompProgram& program, const Json& state, pid_t pid,
                           int listener_fd);

}  // namespace coracle::runtime
