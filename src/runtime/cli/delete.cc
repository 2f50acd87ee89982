#include "cli.h"

namespace coracle::runtime::cli {

Result<int> RunDelete(Context& context, const Words& words) {
  std::string id;
  bool force = false;
  bool regex = false;
  Arguments arguments("coracle delete", "Removes all that `create` made.");
  arguments.Operand("container-id", id, "the container's name");
  arguments.Flag("-f,--force", force, "kill it first; a container that is not there is success");
  arguments.Flag("-r,--regex", regex, "the name is a pattern: every container that it matches");
  if (!TRY(arguments.Parse(words))) return 0;
  const auto remove = [&](const std::string& each) { return Delete(context.runtime, each, force); };
  TRY(regex ? ForMatching(context, id, remove) : remove(id));
  return 0;
}

}  // namespace coracle::runtime::cli
