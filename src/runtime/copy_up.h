// The content of a directory, copied into a new file system before it covers that directory
// (mount option tmpcopyup).
#pragma once

#include "coracle/base/result.h"

namespace coracle::runtime {

// Directories, regular files, symbolic links, devices, FIFOs and sockets with owner, mode and
// times; nothing below another mount. Both descriptors name directories.
Status CopyUp(int from_fd, int to_fd);

}  // namespace coracle::runtime
