#include <unistd.h>

#include "cli.h"
#include "coracle/sys/process.h"
#include "foreground.h"
#include "notify.h"

namespace coracle::runtime::cli {
namespace {

// What a failing verb leaves of the container goes, and the failure is what counts.
Error GiveUp(const Context& context, const std::string& id, Error error) {
  const auto deleted = Delete(context.runtime, id, true);
  if (!deleted.has_value()) context.log.Warning(deleted.error().message);
  return error;
}

Status CreateAndStart(const Context& context, const CreateOptions& options) {
  const oci::State state = TRY(Create(context.runtime, options));
  Notify notify;
  Status started = notify.Open(context.runtime, options.id);
  if (started.has_value()) started = Start(context.runtime, options.id);
  if (!started.has_value()) return GiveUp(context, options.id, std::move(started).error());
  return notify.AwaitReady(state.pid);
}

Result<int> StartAndWait(const Context& context, const std::string& id, pid_t pid,
                         Foreground& foreground) {
  TRY(foreground.Attach());
  Notify notify;
  TRY(notify.Open(context.runtime, id));
  TRY(Start(context.runtime, id));
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
  TRY(foreground.Prepare());
  options.io.console_fd = foreground.console_fd();
  const oci::State state = TRY(Create(context.runtime, options));
  auto code = StartAndWait(context, options.id, state.pid, foreground);
  if (!code.has_value()) return GiveUp(context, options.id, std::move(code).error());
  if (!keep) TRY(Delete(context.runtime, options.id));
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
    TRY(CreateAndStart(context, options));
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
