#include "cli.h"
#include "coracle/sys/process.h"

namespace coracle::runtime::cli {

Result<int> RunKill(Context& context, const Words& words) {
  std::string id;
  std::string signal = "TERM";
  bool all = false;
  Arguments arguments("coracle kill", "Sends a signal to the process of a container.");
  arguments.Operand("container-id", id, "the container's name");
  arguments.OptionalOperand("signal", signal, "TERM (default), SIGTERM, 15, RTMIN+3, ...");
  arguments.Flag("-a,--all", all, "to every process of the container");
  if (!TRY(arguments.Parse(words))) return 0;
  TRY(Kill(context.runtime, id, TRY(sys::SignalNumber(signal)), all));
  return 0;
}

}  // namespace coracle::runtime::cli
