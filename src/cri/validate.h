// What a request must look like before anything is done with it. Errors name the field by JSON
// pointer, and what is allowed.
#pragma once

#include <string>

#include "api.h"
#include "coracle/base/result.h"

namespace coracle::cri {

Status ValidatePod(const v1::PodSandboxConfig& config);
Status ValidateContainer(const v1::ContainerConfig& config);

// Joins a pod's log directory and a container's log path; "" when either is empty.
Result<std::string> LogPath(const std::string& log_directory, const std::string& log_path);

}  // namespace coracle::cri
