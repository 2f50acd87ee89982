// The gRPC server on its unix socket, from the socket's birth to SIGTERM.
#pragma once

#include "coracle/base/result.h"
#include "daemon.h"

namespace coracle::cri {

// Refuses if something answers at `path`; removes a socket that nobody listens on.
Status ClearStaleSocket(const std::string& path);

// Serves until SIGTERM or SIGINT (which the caller has blocked in all threads). Containers go on.
Status Serve(Daemon& daemon);

}  // namespace coracle::cri
