// coracle-shim -info: what this runtime can do, for the daemon.
#include <unistd.h>

#include <cstdio>

#include "command_line.h"
#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "coracle/runtime/container.h"
#include "types.pb.h"

namespace coracle::shim {

int RunInfo() {
  containerd::types::RuntimeInfo info;
  info.set_name("io.containerd.coracle.v2");
  info.mutable_version()->set_version(CORACLE_VERSION);
  // The options come as an Any, and go back as they are.
  if (const auto input = ReadFd(STDIN_FILENO, "standard input"); input && !input->empty()) {
    if (!info.mutable_options()->ParseFromString(*input)) info.clear_options();
  }
  info.mutable_features()->set_type_url(
      "types.containerd.io/opencontainers/runtime-spec/1/features/Features");
  info.mutable_features()->set_value(PrintJson(runtime::Features()));
  return WriteAll(STDOUT_FILENO, info.SerializeAsString(), "standard output") ? 0 : 1;
}

}  // namespace coracle::shim
