#include "cli.h"

namespace coracle::runtime::cli {

Result<int> RunDelete(Context& context, const Words& words) {
  std::string id;
  bool force = false;
  Arguments arguments("coracle delete", "Removes all that `create` made.");
  arguments.Operand("container-id", id, "the container's name");
  arguments.Flag("-f,--force", force, "kill it first; a container that is not there is success");
  if (!TRY(arguments.Parse(words))) return 0;
  TRY(Delete(context.runtime, id, force));
  return 0;
}

}  // namespace coracle::runtime::cli
