#include "cli.h"
#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "coracle/sys/process.h"
#include "foreground.h"
#include "numbers.h"

namespace coracle::runtime::cli {
namespace {

// runc's, so that callers can tell our failure from that of the program.
constexpr int kExecFailed = 255;

struct ExecArguments {
  ExecOptions options;
  std::string process_file, cwd, user, process_label, apparmor;
  Words env, caps, additional_gids, rest;
  bool tty = false, detach = false, no_new_privs = false;
};

void AddOptions(Arguments& arguments, ExecArguments& given) {
  arguments.Text("--console-socket", given.options.io.console_socket,
                 "unix socket that gets the master of the process's terminal");
  arguments.Text("--cwd", given.cwd, "current working directory in the container");
  arguments.Texts("-e,--env", given.env, "NAME=value, beside the container's environment");
  arguments.Flag("-t,--tty", given.tty, "give it a terminal");
  arguments.Text("-u,--user", given.user, "UID[:GID]");
  arguments.Texts("-g,--additional-gids", given.additional_gids, "a further group");
  arguments.Text("-p,--process", given.process_file, "file with the process as JSON");
  arguments.Flag("-d,--detach", given.detach, "return as soon as the program runs");
  arguments.Text("--pid-file", given.options.pid_file, "file to write the process id to");
  arguments.Text("--pidfd-socket", given.options.pidfd_socket,
                 "unix socket that gets a pidfd of the process");
  arguments.Text("--process-label", given.process_label, "SELinux label");
  arguments.Text("--apparmor", given.apparmor, "AppArmor profile");
  arguments.Flag("--no-new-privs", given.no_new_privs, "no execve(2) gives it privileges");
  arguments.Texts("-c,--cap", given.caps, "a further capability");
  arguments.Number("--preserve-fds", given.options.io.preserve_fds,
                   "pass on N more descriptors, from 3 (after LISTEN_FDS)");
  arguments.Text("--cgroup", given.options.cgroup, "below the container's cgroup");
  arguments.Flag("--ignore-paused", given.options.ignore_paused,
                 "in a paused container too: it will run when that is resumed");
  arguments.Rest(given.rest, "container-id program [arguments]");
}

Status SetUser(const std::string& text, oci::User& user) {
  const auto colon = text.find(':');
  user.uid = TRY(ParseNumber<std::uint32_t>(text.substr(0, colon), "--user"));
  if (colon != std::string::npos)
    user.gid = TRY(ParseNumber<std::uint32_t>(text.substr(colon + 1), "--user"));
  return {};
}

// The container's own process, with what was asked for changed.
Result<oci::Process> ProcessFromOptions(const Context& context, const ExecArguments& given) {
  oci::Process process = TRY(ContainerProcess(context.runtime, given.options.id));
  process.args.assign(given.rest.begin() + 1, given.rest.end());
  process.terminal = given.tty;
  if (!given.cwd.empty()) process.cwd = given.cwd;
  if (!given.process_label.empty()) process.selinux_label = given.process_label;
  if (!given.apparmor.empty()) process.apparmor_profile = given.apparmor;
  if (given.no_new_privs) process.no_new_privileges = true;
  if (!given.user.empty()) TRY(SetUser(given.user, process.user));
  for (const auto& gid : given.additional_gids) {
    process.user.additional_gids.push_back(
        TRY(ParseNumber<std::uint32_t>(gid, "--additional-gids")));
  }
  process.env.insert(process.env.end(), given.env.begin(), given.env.end());
  if (given.caps.empty()) return process;
  if (!process.capabilities) process.capabilities.emplace();
  for (const auto& cap : given.caps) {
    for (auto* set : {&process.capabilities->bounding, &process.capabilities->effective,
                      &process.capabilities->permitted})
      set->push_back(cap);
  }
  return process;
}

// As strict as for a file: what is printed and read again has passed every check.
Result<oci::Process> FindProcess(const Context& context, const ExecArguments& given) {
  if (!given.process_file.empty())
    return oci::ParseProcess(TRY(ReadFile(given.process_file)), given.process_file);
  const auto process = TRY(ProcessFromOptions(context, given));
  return oci::ParseProcess(PrintJson(ToJson(process)), "options of exec");
}

Result<int> ExecInForeground(const Context& context, ExecOptions& options) {
  Foreground foreground;
  TRY(foreground.Prepare());
  options.io.console_fd = foreground.console_fd();
  const pid_t pid = TRY(Exec(context.runtime, options));
  TRY(foreground.Attach());
  return foreground.Wait(pid);
}

}  // namespace

Result<int> RunExec(Context& context, const Words& words) {
  ExecArguments given;
  Arguments arguments("coracle exec", "Executes a further program inside a container.");
  AddOptions(arguments, given);
  if (!TRY(arguments.Parse(words))) return 0;
  if (given.rest.empty()) return Error{Code::kInvalidConfig, 0, "container-id is required"};
  if (given.rest.size() < 2 && given.process_file.empty())
    return Error{Code::kInvalidConfig, 0, "a program or --process is required"};
  context.exit_code_of_failure = kExecFailed;
  given.options.id = given.rest.front();
  given.options.process = TRY(FindProcess(context, given));
  if (given.detach) {
    TRY(Exec(context.runtime, given.options));
    return 0;
  }
  if (!given.options.io.console_socket.empty()) {
    return Error{Code::kInvalidConfig, 0,
                 "--console-socket is for `exec --detach`: in the "
                 "foreground the terminal is the caller's"};
  }
  TRY(sys::SetChildSubreaper());
  return ExecInForeground(context, given.options);
}

}  // namespace coracle::runtime::cli
