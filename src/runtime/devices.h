// Device nodes and links below /dev: config-linux.md#devices, #default-devices,
// runtime-linux.md#dev-symbolic-links.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct DeviceNode {
  std::string path;  // in the container
  mode_t mode = 0;   // with S_IFCHR, S_IFBLK or S_IFIFO
  dev_t device = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct DevicesPlan {
  std::vector<DeviceNode> nodes;  // the default ones first
  bool bind_from_host = false;    // in a user namespace mknod(2) may not make devices
  bool create = true;             // false where /dev is a bind mount: then it is left alone
  bool console = false;           // process.terminal
};

Result<DevicesPlan> PlanDevices(const oci::Spec& spec);

// The host's node of that path (O_PATH), on a mount of our own namespace, to be cloned. `devtmpfs`:
// where that has no other mount of the host's; -1 for the host's own /dev.
Result<UniqueFd> OpenHostDevice(const std::string& path, int devtmpfs);

// Container process, after AttachMounts and before PivotRoot (it may bind the host's nodes).
Status CreateDevices(const DevicesPlan& plan, int root_fd, int devtmpfs = -1);

// /dev/fd, /dev/stdin, /dev/stdout, /dev/stderr, /dev/ptmx -> pts/ptmx.
Status CreateDeviceLinks(const DevicesPlan& plan, int root_fd);

// Binds the terminal `slave_fd` (of the container's own devpts) on /dev/console, which is created
// without following a link (CVE-2025-52565).
Status AttachConsole(int root_fd, int slave_fd);

}  // namespace coracle::runtime
