#include <unistd.h>

#include "cli.h"
#include "coracle/sys/process.h"
#include "foreground.h"
#include "notify.h"

namespace coracle::runtime::cli {
namespace {

Status RunDetached(const Context& context, const CreateOptions& options) {
  Notify notify;
  const auto before_start = [&](const oci::State&) {
    return notify.Open(context.runtime, options.id);
  };
  const Result<pid_t> pid = Run(context.runtime, options, before_start);
  return pid.has_value() ? notify.AwaitReady(*pid) : Status(pid.error());
}

Result<int> Wait(const Context& context, pid_t pid, Foreground& foreground, Notify& notify) {
  bool told = false;
  return foreground.Wait(pid, {.fd = notify.fd(), .readable = [&] {
                                 // The caller knows us, not the program; what is said later is not
                                 // passed on.
                                 const auto taken =
                                     told ? Result<bool>(true) : notify.Take(::getpid());
                                 if (!taken.has_value()) context.log.Warning(taken.error().message);
                                 told = !taken.has_value() || *taken;
                                 return !told;
                               }});
}

Result<int> RunInForeground(const Context& context, CreateOptions& options, bool keep) {
  Foreground foreground;
  Notify notify;
  TRY(foreground.Prepare());
  options.io.console_fd = foreground.console_fd();
  const pid_t pid = TRY(Run(context.runtime, options, [&](const oci::State&) -> Status {
    TRY(foreground.Attach());
    return notify.Open(context.runtime, options.id);
  }));
  const Result<int> code = Wait(context, pid, foreground, notify);
  // What we cannot wait for shall not go on.
  if (!keep || !code.has_value()) TRY(Delete(context.runtime, options.id, !code.has_value()));
  return code;
}

}  // namespace

Result<int> RunRun(Context& context, const Words& words) {
  CreateOptions options;
  bool detach = false;
  bool keep = false;
  bool no_subreaper = false;
  Arguments arguments("coracle run",
                      "Makes a container of a bundle, starts it, waits for its "
                      "end and deletes it. Exits with the program's exit code.");
  AddCreateOptions(arguments, options);
  arguments.Flag("-d,--detach", detach, "return as soon as the program runs");
  arguments.Flag("--keep", keep, "do not delete the container after its end");
  arguments.Flag("--no-subreaper", no_subreaper, "do not reap the orphans of the container");
  if (!TRY(arguments.Parse(words))) return 0;
  if (detach) {
    TRY(RunDetached(context, options));
    return 0;
  }
  if (!options.io.console_socket.empty()) {
    return Error{Code::kInvalidConfig, 0,
                 "--console-socket is for `create` and `run --detach`: in "
                 "the foreground the terminal is the caller's"};
  }
  if (!no_subreaper) TRY(sys::SetChildSubreaper());
  return RunInForeground(context, options, keep);
}

}  // namespace coracle::runtime::cli
