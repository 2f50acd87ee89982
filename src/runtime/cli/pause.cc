#include "cli.h"

namespace coracle::runtime::cli {

Result<int> RunPause(Context& context, const Words& words) {
  std::string id;
  Arguments arguments("coracle pause", "Freezes all processes of a container.");
  arguments.Operand("container-id", id, "the container's name");
  if (!TRY(arguments.Parse(words))) return 0;
  TRY(Pause(context.runtime, id));
  return 0;
}

Result<int> RunResume(Context& context, const Words& words) {
  std::string id;
  Arguments arguments("coracle resume", "Lets the processes of a paused container go on.");
  arguments.Operand("container-id", id, "the container's name");
  if (!TRY(arguments.Parse(words))) return 0;
  TRY(Resume(context.runtime, id));
  return 0;
}

}  // namespace coracle::runtime::cli
