#include <unistd.h>

#include "cli.h"
#include "coracle/base/file.h"

namespace coracle::runtime::cli {

Result<bool> WantsJson(const std::string& format) {
  if (format == "json") return true;
  if (format == "table") return false;
  return Error{Code::kInvalidConfig, 0,
               "--format: unknown value \"" + format + "\"; allowed: table json"};
}

Status Print(const std::string& text) { return WriteAll(STDOUT_FILENO, text, "standard output"); }

}  // namespace coracle::runtime::cli
