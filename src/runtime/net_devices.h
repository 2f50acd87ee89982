// linux.netDevices: config-linux.md#network-devices. Interfaces of the runtime's network namespace
// move into the container's, with their global addresses. They stay there: what becomes of them
// when that namespace ends is the kernel's rule (network_namespaces(7)).
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"
#include "coracle/sys/netlink.h"

namespace coracle::runtime {

struct NetDevicePlan {
  std::string pointer;          // "/linux/netDevices/eth1"
  std::string host_name, name;  // `name` may end with "%d": any free number
};

std::vector<NetDevicePlan> PlanNetDevices(const oci::Spec& spec);

// What was moved, for the way back from a creation that fails.
struct MovedNetDevices {
  struct Device {
    std::string host_name;
    int index = 0;  // in the container
    bool was_up = false;
    std::vector<sys::LinkAddress> addresses;
  };
  UniqueFd own, ours, theirs;  // our namespace; a netlink socket there, and one in the container's
  std::vector<Device> devices;
};

// `moved` says what was done also when it fails.
Status MoveNetDevices(const std::vector<NetDevicePlan>& plan, int netns_fd, MovedNetDevices& moved);
void ReturnNetDevices(MovedNetDevices& moved) noexcept;

}  // namespace coracle::runtime
