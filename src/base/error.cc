#include "coracle/base/error.h"

#include <cstring>
#include <utility>

namespace coracle {

std::string ErrnoText(int errnum) {
  const char* name = strerrorname_np(errnum);
  const char* text = strerrordesc_np(errnum);
  return std::string(name != nullptr ? name : "E" + std::to_string(errnum)) + " (" +
         (text != nullptr ? text : "unknown error") + ")";
}

Error KernelError(std::string call, int errnum) {
  return {Code::kKernel, errnum, std::move(call) + ": " + ErrnoText(errnum)};
}

Error Within(std::string_view operation, Error cause) {
  cause.message = std::string(operation) + ": " + cause.message;
  return cause;
}

}  // namespace coracle
