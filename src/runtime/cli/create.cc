#include "cli.h"
#include "notify.h"

namespace coracle::runtime::cli {

void AddCreateOptions(Arguments& arguments, CreateOptions& options) {
  options.bundle = ".";
  options.notify = Notify::IsWanted();
  arguments.Operand("container-id", options.id, "the new container's name");
  arguments.Text("-b,--bundle", options.bundle, "directory of config.json (default: the current)");
  arguments.Text("-f,--config", options.config_file, "read this instead of BUNDLE/config.json");
  arguments.Text("--console-socket", options.io.console_socket,
                 "unix socket that gets the master of the process's terminal");
  arguments.Text("--pid-file", options.pid_file, "file to write the process id to");
  arguments.Text("--pidfd-socket", options.pidfd_socket,
                 "unix socket that gets a pidfd of the container process");
  arguments.Flag("--no-pivot", options.no_pivot, "chroot(2) instead of pivot_root(2): insecure");
  arguments.Flag("--no-new-keyring", options.no_new_keyring, "keep the caller's session keyring");
  arguments.Number("--preserve-fds", options.io.preserve_fds,
                   "pass on N more descriptors, from 3 (after LISTEN_FDS)");
}

Result<int> RunCreate(Context& context, const Words& words) {
  CreateOptions options;
  Arguments arguments("coracle create",
                      "Makes a container of a bundle. Its process waits for `start`.");
  bool no_subreaper = false;
  AddCreateOptions(arguments, options);
  arguments.Flag("--no-subreaper", no_subreaper, "has no effect");
  if (!TRY(arguments.Parse(words))) return 0;
  TRY(Create(context.runtime, options));
  return 0;
}

}  // namespace coracle::runtime::cli
