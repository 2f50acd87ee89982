// Device rules as a BPF_PROG_TYPE_CGROUP_DEVICE program.
#pragma once

#include <linux/bpf.h>

#include <span>
#include <vector>

#include "coracle/oci/spec.h"

namespace coracle::runtime {

// `rules`, and after them those of every container: mknod of anything, the devices of
// config-linux.md#default-devices, pseudo terminals and /dev/net/tun.
std::vector<oci::DeviceRule> WithDefaultDevices(std::vector<oci::DeviceRule> rules);

// Each rule decides, for the accesses it names, over what the rules before it said; what no rule
// decides is denied. "rw" is allowed when the last word on "r" and the last word on "w" are.
std::vector<bpf_insn> CompileDeviceRules(std::span<const oci::DeviceRule> rules);

}  // namespace coracle::runtime
