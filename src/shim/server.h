// The shim as it lives: one process per container, serving its Task service until Shutdown.
#pragma once

#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "options.h"

namespace coracle::shim {

struct ServerOptions {
  UniqueFd listening;  // of `socket_path`, which is removed in the end
  std::string socket_path;
  std::string container_namespace;
  std::string events_address;  // ttrpc socket of the daemon; may be empty
  ShimOptions options;
};

Status Serve(ServerOptions server);

}  // namespace coracle::shim
