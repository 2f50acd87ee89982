// The state of a container as the OCI runtime specification prints it: runtime.md#state.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "coracle/base/json_fwd.h"
#include "coracle/oci/spec.h"

namespace coracle::oci {

enum class ContainerStatus : std::uint8_t { kCreating, kCreated, kRunning, kPaused, kStopped };

std::string_view StatusName(ContainerStatus status);  // "creating", ... ("paused": runc's word)

struct State {
  std::string oci_version;
  std::string id;
  ContainerStatus status = ContainerStatus::kCreating;
  pid_t pid = 0;  // 0 unless created, running or paused
  std::string bundle;
  Annotations annotations;
};

Json ToJson(const State& state);

}  // namespace coracle::oci
