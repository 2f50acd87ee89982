// Runs a shim program: `start`, which answers with an address, and `delete`.
#pragma once

#include <string>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/shim/client.h"

namespace coracle::shim {

// The address in the answer of `start`: Protobuf, JSON or plain text.
Result<std::string> ParseStartAnswer(const std::string& answer);

// Runs `<shim> start`; the answer's address.
Result<std::string> RunStart(const LaunchOptions& options);

// Connects to "unix:///path".
Result<UniqueFd> ConnectToShim(const std::string& address);

}  // namespace coracle::shim
