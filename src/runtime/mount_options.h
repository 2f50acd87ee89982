// The mount options of the specification's table as flags of the kernel's calls:
// config.md#linux-mount-options.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct MountOptions {
  // MOUNT_ATTR_* of this mount, and of it and all below (the options with "r" in front).
  std::uint64_t set = 0, clear = 0;
  std::uint64_t recursive_set = 0, recursive_clear = 0;
  std::vector<unsigned long> propagation;  // MS_PRIVATE, MS_PRIVATE|MS_REC, ...: in this order
  std::vector<std::string> superblock;     // flags of a new file system: "sync", "lazytime", ...
  bool bind = false, recursive_bind = false, remount = false;
  bool copy_up = false;  // tmpcopyup: the new tmpfs starts with what the directory held
  bool idmap = false, recursive_idmap = false;
  // What the table does not know goes to the file system: {"mode", "755"}; a flag has no value.
  std::vector<std::pair<std::string, std::string>> data;
};

// `pointer` is the mount's place in config.json: "/mounts/3".
Result<MountOptions> ParseMountOptions(const oci::Mount& mount, const std::string& pointer);

// Every option this program knows, sorted: for features.md.
std::vector<std::string> KnownMountOptions();

}  // namespace coracle::runtime
