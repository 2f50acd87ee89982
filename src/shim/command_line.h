// How containerd (and people) call the shim program:
//   coracle-shim -namespace N -address A -publish-binary P -id ID [-bundle B] [-debug] start|delete
//   coracle-shim -info | -v          coracle-shim pause (or under the name coracle-pause)
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::shim {

struct CommandLine {
  std::string container_namespace, address, publish_binary, id, bundle;
  bool debug = false, info = false, version = false;
  std::string verb;  // empty with `info` and `version`
};

// In the syntax of Go's flag package: one or two dashes, the value after `=` or as next word.
Result<CommandLine> ParseCommandLine(const std::vector<std::string>& args);

// Each returns the exit status. What it prints on stderr is what the daemon's user reads.
int RunStart(const CommandLine& command_line);
int RunDelete(const CommandLine& command_line);
int RunInfo();
// PID 1 of a namespace that several containers share: reaps, and ends on SIGTERM or SIGINT.
int RunPause();

}  // namespace coracle::shim
