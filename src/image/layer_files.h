// Single files of an unpacked layer: the marks of overlayfs, hard links, copies with everything
// that belongs to a file. Names are single components below an open directory.
#pragma once

#include <sys/stat.h>

#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::image {

bool IsWhiteout(const struct stat& status);
Status MakeWhiteout(int dir_fd, const std::string& name);
Status SetOpaque(int dir_fd, const std::string& name);

// `target` is a path inside `root_fd`; a symlink as its last component is linked itself.
Status LinkInLayer(int root_fd, const std::string& target, int dir_fd, const std::string& name);

struct DirEntryRef {
  int dir_fd;
  std::string name;
};
// Owner, mode, xattrs (not overlayfs's own) and mtime of one directory on another.
Status CopyDirectoryAttributes(int from_fd, int to_fd);
// Anything but a directory; `to` must not exist.
Status CopyNode(const DirEntryRef& from, const DirEntryRef& to);
// What is in `from_fd`, recursively, into the empty directory `to_fd`; hard links stay hard links.
Status CopyTree(int from_fd, int to_fd);

}  // namespace coracle::image
