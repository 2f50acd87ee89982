// The root filesystem of a bundle: the mounts that a Create request asks for, on <bundle>/rootfs.
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::shim {

struct RootfsMount {
  std::string type, source, target;  // `target` below rootfs; empty: rootfs itself
  std::vector<std::string> options;  // as mount(8): "ro", "rbind", "lowerdir=..."
};

// All of them, or none. Changes the working directory: for a worker process.
Status MountRootfs(const std::string& bundle, const std::vector<RootfsMount>& mounts);

// Everything that is mounted on or below <bundle>/rootfs; nothing there is success.
Status UnmountRootfs(const std::string& bundle);

}  // namespace coracle::shim
