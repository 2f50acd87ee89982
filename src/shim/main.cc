// coracle-shim: one per container.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "command_line.h"
#include "coracle/runtime/own_binary.h"

int main(int argc, char** argv) {
  namespace shim = coracle::shim;
  const std::string_view name = argc > 0 ? argv[0] : "";
  // First of all: as PID 1 of a pod it shall do and cost nothing more.
  if (name.substr(name.rfind('/') + 1) == "coracle-pause") return shim::RunPause();

  // The server that it leaves behind will be the container's process for a moment.
  const auto own = coracle::runtime::ProtectOwnBinary(argv, environ, {"start"});
  if (!own.has_value()) {
    fprintf(stderr, "coracle-shim: %s\n", own.error().message.c_str());
    return 1;
  }
  const auto command_line =
      shim::ParseCommandLine(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  if (!command_line) {
    fprintf(stderr, "coracle-shim: %s\n", command_line.error().message.c_str());
    return 2;
  }
  if (command_line->version) {
    printf("coracle-shim\n  Version:  %s\n", CORACLE_VERSION);
    return 0;
  }
  if (command_line->info) return shim::RunInfo();
  if (command_line->verb == "pause") return shim::RunPause();
  if (command_line->verb == "start") return shim::RunStart(*command_line);
  return shim::RunDelete(*command_line);
}
