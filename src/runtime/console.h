// The terminal of a process: process.terminal in config.md#process, pty(7). The pty belongs to the
// container's own devpts; its master goes to the console socket (runc's docs/terminals.md).
#pragma once

#include <sys/types.h>

#include <array>
#include <optional>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

// Parent: the connection over which the master will go.
Result<UniqueFd> ConnectConsole(const std::string& path);

// Container process: a new pty of the devpts at /dev/pts below `root_fd` (verified), its size set,
// its master sent to `console_fd`. Returns the slave.
Result<UniqueFd> OpenTerminal(int root_fd, int console_fd,
                              const std::optional<oci::ConsoleSize>& size);

// Makes `stdio` the descriptors 0, 1 and 2; they may be the same, or among 0 to 2 themselves.
Status InstallStdio(const std::array<int, 3>& stdio);

}  // namespace coracle::runtime
