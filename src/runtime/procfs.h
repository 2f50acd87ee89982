// A private procfs that nobody can mount over or replace with links: every write below /proc goes
// through it (CVE-2025-52881).
#pragma once

#include <string>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime {

// Container process, in its own PID namespace and before PivotRoot: a new detached procfs, or the
// host's verified one where the kernel allows none (a user namespace without a PID namespace).
// Whoever needs no sysctl takes the processes alone.
enum class ProcPart { kAll, kProcesses };
Result<UniqueFd> OpenProc(ProcPart part);

// Writes `text` to `path` ("sys/net/ipv4/ip_forward", "self/attr/exec") without crossing a mount
// or following a link other than proc's own "self" and "thread-self".
Status WriteProc(int proc_fd, const std::string& path, std::string_view text);

}  // namespace coracle::runtime
