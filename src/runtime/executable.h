// Where the process starts and what it starts: process.cwd, args[0] by the container's PATH, HOME
// by the container's /etc/passwd.
#pragma once

#include <string>

#include "coracle/base/result.h"
#include "process_attributes.h"

namespace coracle::runtime {

// HOME from the container's /etc/passwd ("/" when it does not say) unless it is set.
Status FillHome(ProcessPlan& plan, int root_fd);

// Container process of create, before the root is sealed: makes process.cwd where it is missing.
Status MakeWorkingDirectory(const ProcessPlan& plan, int root_fd);

// In the root: chdir to process.cwd, verified to lie inside the root (CVE-2024-21626). Before
// SetUser, since a user may start in a directory that only root may enter; the error is EACCES
// where root may not either (a network file system): then once more after SetUser.
Status EnterWorkingDirectory(const ProcessPlan& plan);

// In the root and the working directory, as the container's user: what execvp(3) would start, by
// the container's PATH. The errors are the words of runc that its callers look for.
Result<std::string> FindExecutable(const ProcessPlan& plan);

}  // namespace coracle::runtime
