// linux.maskedPaths and linux.readonlyPaths: config-linux.md#masked-paths, #readonly-paths.
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct MaskedPathsPlan {
  std::vector<std::string> masked, readonly;  // absolute, clean, each once
};

Result<MaskedPathsPlan> PlanMaskedPaths(const oci::Spec& spec);

// Container process, after sysctls and hooks and before PivotRoot: files are covered by the host's
// /dev/null (verified), directories by one shared read-only empty tmpfs. What does not exist is
// passed over; a symbolic link is refused (CVE-2025-31133). `devtmpfs` as of OpenHostDevice.
Status MaskPaths(const MaskedPathsPlan& plan, int root_fd, int devtmpfs = -1);

// Container process: makes each a read-only mount of itself.
Status MakeReadonlyPaths(const MaskedPathsPlan& plan, int root_fd);

}  // namespace coracle::runtime
