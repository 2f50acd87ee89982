// The namespaces of a pod without a process in them: made on a thread of their own, pinned by a
// bind mount of /proc/thread-self/ns/* on a file. network_namespaces(7), namespaces(7).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::net {

struct PinRequest {
  // Where to pin; empty: that namespace is not made. Files are created, directories must exist.
  std::string network_path, ipc_path, uts_path;
  std::string hostname;  // with uts_path
  // sysctl(8) names ("net.ipv4.ip_forward", "kernel.shmmax") set inside the new namespaces; one
  // that belongs to no namespace made here is kInvalidConfig.
  std::map<std::string, std::string> sysctls;
};
// All or nothing: on failure what was pinned is unpinned. Loopback is up in a new network
// namespace. The calling thread stays where it is.
Status PinNamespaces(const PinRequest& request);

// umount(2) and unlink(2). A path that is not there or not mounted: success.
Status UnpinNamespace(const std::string& path);

// Network counters of every interface but lo inside the namespace.
struct InterfaceStats {
  std::string name;
  std::uint64_t rx_bytes = 0, rx_errors = 0, tx_bytes = 0, tx_errors = 0;
};
Result<std::vector<InterfaceStats>> ReadInterfaceStats(const std::string& network_path);

}  // namespace coracle::net
