#include "cli.h"
#include "coracle/sys/process.h"

namespace coracle::runtime::cli {

Result<int> RunKill(Context& context, const Words& words) {
  std::string id;
  std::string signal = "TERM";
  bool all = false;
  bool regex = false;
  Arguments arguments("coracle kill", "Sends a signal to the process of a container.");
  arguments.Operand("container-id", id, "the container's name");
  arguments.OptionalOperand("signal", signal, "TERM (default), SIGTERM, 15, RTMIN+3, ...");
  arguments.Flag("-a,--all", all, "to every process of the container");
  arguments.Flag("-r,--regex", regex, "the name is a pattern: to every container that it matches");
  if (!TRY(arguments.Parse(words))) return 0;
  const int number = TRY(sys::SignalNumber(signal));
  const auto kill = [&](const std::string& each) {
    return Kill(context.runtime, each, number, all);
  };
  TRY(regex ? ForMatching(context, id, kill) : kill(id));
  return 0;
}

}  // namespace coracle::runtime::cli
