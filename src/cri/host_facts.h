// What is true of this host and of the daemon itself; read once at start.
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"
#include "coracle/sys/capabilities.h"

namespace coracle::cri {

struct HostFacts {
  // What a container can be given at most: nested or rootless hosts withhold some.
  sys::CapabilityMask capabilities = 0;
  bool apparmor = false;                 // /sys/module/apparmor/parameters/enabled
  bool apparmor_default_loaded = false;  // profile kAppArmorDefault
  int least_oom_score_adj = -1000;       // without CAP_SYS_RESOURCE: the daemon's own
  std::string boot_id;
  std::string cgroup_mount;
};

inline constexpr const char* kAppArmorDefault = "coracle-default";

Result<HostFacts> ReadHostFacts();

// A device node of the host as config.json describes it. Not a device: kInvalidConfig.
Result<oci::Device> ReadDevice(const std::string& host_path);
// Everything below a directory of the host that is a device; pseudo-terminals and what every
// container has of its own are left out.
Result<std::vector<oci::Device>> ReadDevices(const std::string& host_directory);

}  // namespace coracle::cri
