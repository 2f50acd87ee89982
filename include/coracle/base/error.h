// One failure, as plain data: small enough to cross the socket between runtime and container
// process, rich enough for a person to act on.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

namespace coracle {

// What a caller can do about a failure. Detail belongs in the message, never in a new code.
enum class Code : std::uint8_t {
  kInvalidConfig,  // fix the input: config.json, image, reference, request
  kNotFound,       // no such container, image, file
  kAlreadyExists,
  kWrongState,   // e.g. `start` of a running container
  kUnsupported,  // this host or this program cannot do it
  kKernel,       // a system call or a remote party failed; see `errnum`
  kProtocol,     // the other process broke the agreed sequence
};

struct Error {
  Code code;
  int errnum = 0;  // errno of the failed call, or 0
  std::string message;
  std::string step = {};  // innermost named step that was running, if any
};

// `call` names the call and its operands: "mount(2) source=proc target=/proc". Reads errno.
Error KernelError(std::string call, int errnum = errno);

// Puts the operation in front: "<operation>: <cause>".
Error Within(std::string_view operation, Error cause);

// "ENOENT (No such file or directory)".
std::string ErrnoText(int errnum);

}  // namespace coracle
