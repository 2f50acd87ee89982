#include "cli.h"

namespace coracle::runtime::cli {

// Whatever options come with it: there is one answer.
Result<int> RunCheckpoint(Context& /*context*/, const Words& /*words*/) {
  return Error{Code::kUnsupported, ENOTSUP, "checkpoint and restore are not supported"};
}

}  // namespace coracle::runtime::cli
