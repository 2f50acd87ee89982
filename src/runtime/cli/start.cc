#include "cli.h"

namespace coracle::runtime::cli {

Result<int> RunStart(Context& context, const Words& words) {
  std::string id;
  Arguments arguments("coracle start", "Executes the program of a created container.");
  arguments.Operand("container-id", id, "the container's name");
  if (!TRY(arguments.Parse(words))) return 0;
  TRY(Start(context.runtime, id));
  return 0;
}

}  // namespace coracle::runtime::cli
