#include "coracle/oci/state.h"

#include "coracle/base/json.h"

namespace coracle::oci {

std::string_view StatusName(ContainerStatus status) {
  switch (status) {
    case ContainerStatus::kCreating:
      return "creating";
    case ContainerStatus::kCreated:
      return "created";
    case ContainerStatus::kRunning:
      return "running";
    case ContainerStatus::kPaused:
      return "paused";
    case ContainerStatus::kStopped:
      return "stopped";
  }
  return "unknown";
}

Json ToJson(const State& state) {
  Json json = {{"ociVersion", state.oci_version},
               {"id", state.id},
               {"status", StatusName(state.status)},
               {"pid", state.pid},
               {"bundle", state.bundle}};
  if (!state.annotations.empty()) json["annotations"] = state.annotations;
  return json;
}

}  // namespace coracle::oci
