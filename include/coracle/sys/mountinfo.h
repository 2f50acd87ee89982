// /proc/<pid>/mountinfo: proc_pid_mountinfo(5).
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::sys {

struct MountInfo {
  int id = 0, parent = 0;
  unsigned major = 0, minor = 0;
  std::string root, mount_point;      // octal escapes decoded
  std::string options;                // per mount: "rw,nosuid"
  std::vector<std::string> optional;  // "shared:1", "master:2"
  std::string fstype, source, super_options;
};

Result<std::vector<MountInfo>> ReadMountInfo(const std::string& path = "/proc/self/mountinfo");

}  // namespace coracle::sys
