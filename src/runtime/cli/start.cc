#include "notify.h"

namespace coracle::runtime::cli {

Result<int> RunStart(Context& context, const Words& words) {
  std::string id;
  Arguments arguments("coracle start", "Executes the program of a created container.");
  arguments.Operand("container-id", id, "the container's name");
  if (!TRY(arguments.Parse(words))) return 0;
  Notify notify;
  TRY(notify.Open(context.runtime, id));
  TRY(Start(context.runtime, id));
  if (notify.fd() >= 0) TRY(notify.AwaitReady(TRY(State(context.runtime, id)).pid));
  return 0;
}

}  // namespace coracle::runtime::cli
