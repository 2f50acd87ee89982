#include "cli.h"
#include "coracle/base/json.h"

namespace coracle::runtime::cli {

Result<int> RunFeatures(Context& /*context*/, const Words& words) {
  Arguments arguments("coracle features", "Prints what this runtime can do (features.md).");
  if (!TRY(arguments.Parse(words))) return 0;
  TRY(Print(PrintJson(Features(), 2) + "\n"));
  return 0;
}

}  // namespace coracle::runtime::cli
