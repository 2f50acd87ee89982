#include "container_json.h"
#include "coracle/base/json.h"

namespace coracle::runtime::cli {

Result<int> RunState(Context& context, const Words& words) {
  std::string id;
  Arguments arguments("coracle state", "Prints the state of a container (runtime.md#state).");
  arguments.Operand("container-id", id, "the container's name");
  if (!TRY(arguments.Parse(words))) return 0;
  const Json json = TRY(DescribeContainer(context.runtime, TRY(State(context.runtime, id))));
  TRY(Print(PrintJson(json, 2) + "\n"));
  return 0;
}

}  // namespace coracle::runtime::cli
