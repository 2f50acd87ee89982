// Mount calls under their kernel names: mount(2), fsopen(2), open_tree(2), move_mount(2),
// mount_setattr(2). Each either works or says exactly what was asked, flags by name.
#pragma once

#include <sys/mount.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::sys {

struct MountArgs {
  std::string source = {};
  std::string target = {};
  std::string fstype = {};
  unsigned long flags = 0;
  std::string data = {};
};
Status mount(const MountArgs& args);
Status umount2(const std::string& target, int flags);
Status pivot_root(const std::string& new_root, const std::string& put_old);

// A new filesystem as a detached mount: fsopen, fsconfig for each option (an empty value sets a
// flag), fsmount with MOUNT_ATTR_* `attributes`. The kernel's own log of a failure is in the error.
struct FilesystemArgs {
  std::string fstype = {};
  std::vector<std::pair<std::string, std::string>> options =
      {};                   // "source", "mode", "lowerdir", ...
  unsigned attributes = 0;  // MOUNT_ATTR_RDONLY, ...
};
Result<UniqueFd> NewFilesystem(const FilesystemArgs& args);

// A detached copy of what `fd` names (OPEN_TREE_CLONE), with everything below when `recursive`.
Result<UniqueFd> CloneTree(int fd, bool recursive);

// mount_setattr(2) on a detached or attached mount named by `fd`.
struct MountAttributes {
  std::uint64_t set = 0, clear = 0, propagation = 0;  // MOUNT_ATTR_*, MS_SHARED ...
  int userns_fd = -1;                                 // with MOUNT_ATTR_IDMAP in `set`
  bool recursive = false;
};
Status mount_setattr(int fd, const MountAttributes& attributes);

// Attaches the detached mount `mount_fd` on what `target_fd` names.
Status move_mount(int mount_fd, int target_fd, const std::string& target_for_error);

std::string MountFlagNames(unsigned long flags);  // "MS_NOSUID|MS_NODEV"

}  // namespace coracle::sys
