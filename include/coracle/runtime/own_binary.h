// Protection of the runtime's own file against the containers that it enters (CVE-2019-5736).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "coracle/base/result.h"

namespace coracle::runtime {

// A container process is for a moment this program: through /proc/<pid>/exe a hostile container
// could open and later overwrite its file. Where that file is writable at all, this executes the
// program again, from a read-only clone of its mount or, where we may not make one, from a sealed
// copy in memory (and then returns there). Where it lies on a read-only mount or is such a copy,
// or no word of `argv` is one of the verbs that enter a container, it only returns. Call it before
// anything is parsed.
Status ProtectOwnBinary(char** argv, char** envp, std::initializer_list<std::string_view> verbs);

// Another program of ours: beside this one in a build folder, in ../libexec/coracle when installed.
// Also after ProtectOwnBinary, when our own file has no path any more.
Result<std::string> FindBesideOurselves(const std::string& name);

}  // namespace coracle::runtime
