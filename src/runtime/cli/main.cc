// The command line: global options, then one verb, which is the only one whose options are built.
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "cli.h"
#include "coracle/base/json.h"
#include "coracle/runtime/own_binary.h"
#include "hints.h"
#include "version.h"

// Set by entry.cc, where there is one, when it has seen that it is so.
extern "C" {
bool coracle_image_is_read_only = false;
}

namespace coracle::runtime::cli {
namespace {

struct Verb {
  std::string_view name;
  std::string_view help;
  Result<int> (*run)(Context&, const Words&);
};

constexpr Verb kVerbs[] = {
    {"create", "create a container, which then waits for `start`", RunCreate},
    {"start", "execute the program of a created container", RunStart},
    {"run", "create, start, wait, delete", RunRun},
    {"exec", "execute a further program inside a container", RunExec},
    {"state", "print the state of a container", RunState},
    {"list", "list the containers of this root", RunList},
    {"ps", "list the processes of a container", RunPs},
    {"kill", "send a signal to a container", RunKill},
    {"delete", "remove a stopped container", RunDelete},
    {"pause", "freeze all processes of a container", RunPause},
    {"resume", "let them go on", RunResume},
    {"update", "change the resource limits of a container", RunUpdate},
    {"events", "print statistics and out-of-memory events", RunEvents},
    {"checkpoint", "not supported, nor is `restore`", RunCheckpoint},
    {"restore", "not supported", RunCheckpoint},
    {"features", "print what this runtime can do (features.md)", RunFeatures},
    {"spec", "write an example config.json", RunSpec},
    {"explain", "print what `create` and `start` do for a bundle, step by step", RunExplain}};

std::string VerbList() {
  std::string text = "verbs (`coracle VERB --help` for each):\n";
  for (const Verb& verb : kVerbs) {
    text += "  " + std::string(verb.name) + std::string(12 - verb.name.size(), ' ') +
            std::string(verb.help) + "\n";
  }
  return text + "  image       pull, load, save, list, remove images; make a bundle of one\n";
}

const Verb* FindVerb(std::string_view name) {
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return &verb;
  }
  return nullptr;
}

struct GlobalOptions {
  std::string root, log, log_format = "text", log_level, rootless = "auto", trace;
  std::string cgroup_manager;
  bool debug = false, systemd_cgroup = false, version = false;
  Words rest;
};

void AddGlobalOptions(Arguments& arguments, GlobalOptions& options) {
  arguments.Text("--root", options.root, "directory of the containers' states");
  arguments.Text("--log", options.log, "file to write errors and warnings to");
  arguments.Text("--log-format", options.log_format, "text or json");
  arguments.Text("--log-level", options.log_level, "error, warning (default) or debug");
  arguments.Flag("--debug", options.debug, "also log what only helps to find a bug");
  arguments.Flag("--systemd-cgroup", options.systemd_cgroup,
                 "cgroupsPath is slice:prefix:name, made by systemd");
  arguments.Text("--cgroup-manager", options.cgroup_manager,
                 "cgroupfs, systemd, or disabled: no cgroup at all, so no limits");
  arguments.Text("--rootless", options.rootless, "true, false or auto");
  arguments.FlagWithValue("--trace", "text", options.trace,
                          "time each step of all processes: text, json (an object per line) "
                          "or svg (a picture), to standard error; or FORM:FILE");
  arguments.Flag("-v,--version", options.version, "print the version");
  arguments.Rest(options.rest, "verb [arguments]");
  arguments.Footer(VerbList());
}

Status CheckWord(const char* option, const std::string& word, const Words& allowed) {
  for (const auto& one : allowed) {
    if (word == one) return {};
  }
  std::string text = std::string(option) + ": unknown value \"" + word + "\"; allowed:";
  for (const auto& one : allowed) text += " " + one;
  return Error{Code::kInvalidConfig, 0, text};
}

Result<LogLevel> LevelOf(const GlobalOptions& options) {
  if (options.log_level.empty()) return options.debug ? LogLevel::kDebug : LogLevel::kWarning;
  TRY(CheckWord("--log-level", options.log_level, {"error", "warning", "debug"}));
  return options.log_level == "error"     ? LogLevel::kError
         : options.log_level == "warning" ? LogLevel::kWarning
                                          : LogLevel::kDebug;
}

// --systemd-cgroup is runc's word, --cgroup-manager crun's.
CgroupManager ManagerOf(const GlobalOptions& options) {
  if (options.cgroup_manager == "disabled") return CgroupManager::kDisabled;
  return options.systemd_cgroup || options.cgroup_manager == "systemd" ? CgroupManager::kSystemd
                                                                       : CgroupManager::kCgroupfs;
}

Status Apply(const GlobalOptions& options, Context& context) {
  TRY(CheckWord("--log-format", options.log_format, {"text", "json"}));
  if (!options.cgroup_manager.empty())
    TRY(CheckWord("--cgroup-manager", options.cgroup_manager, {"cgroupfs", "systemd", "disabled"}));
  TRY(CheckWord("--rootless", options.rootless, {"true", "false", "auto"}));
  TRY(context.log.Open(options.log,
                       options.log_format == "json" ? LogFormat::kJson : LogFormat::kText,
                       TRY(LevelOf(options))));
  context.runtime.rootless = options.rootless == "true"    ? Rootless::kYes
                             : options.rootless == "false" ? Rootless::kNo
                                                           : Rootless::kAuto;
  context.runtime.root =
      options.root.empty() ? DefaultRoot(context.runtime.rootless) : options.root;
  context.runtime.cgroup_manager = ManagerOf(options);
  context.runtime.ignore_missing_controllers = IgnoreMissingControllersByEnvironment();
  context.runtime.warn = [&context](const std::string& text) { context.log.Warning(text); };
  if (options.trace.empty()) return {};
  TRY(context.trace.Open(options.trace));
  context.trace.Observe(context.runtime.observer);
  return {};
}

int Fail(const Context& context, const Error& error) {
  context.log.Problem(error.message);
  if (const auto hint = HintFor(error); !hint.empty()) context.log.Hint(hint);
  return context.exit_code_of_failure;
}

int RunVerb(Context& context, Words words) {
  if (words.empty())
    return Fail(context, {Code::kInvalidConfig, 0, "no verb given: see `coracle --help`"});
  const Verb* verb = FindVerb(words.front());
  if (verb == nullptr) {
    return Fail(context, {Code::kInvalidConfig, 0,
                          "unknown verb \"" + words.front() + "\": see `coracle --help`"});
  }
  words.erase(words.begin());
  const auto exit_code = verb->run(context, words);
  const auto traced = context.trace.Finish(std::string(verb->name));
  if (!traced.has_value()) context.log.Warning(traced.error().message);
  return exit_code.has_value() ? *exit_code : Fail(context, exit_code.error());
}

int Main(int argc, char** argv) {
  Context context;
  // Another program, that makes no container: nothing here applies to it.
  if (argc > 1 && std::string_view(argv[1]) == "image") return Fail(context, ExecImage(argv + 1));
  if (!coracle_image_is_read_only) {
    const auto own = ProtectOwnBinary(argv, environ, {"create", "run", "exec"});
    if (!own.has_value()) return Fail(context, own.error());
  }
  GlobalOptions options;
  Arguments arguments("coracle", "Runs containers as the OCI runtime specification says.");
  AddGlobalOptions(arguments, options);
  const auto go_on = arguments.Parse(Words(argv + 1, argv + argc));
  if (!go_on.has_value()) return Fail(context, go_on.error());
  if (!*go_on) return 0;
  if (options.version) {
    std::fputs("coracle version " CORACLE_VERSION "\ncommit: " CORACLE_COMMIT
               "\nspec: 1.3.0\n"
               "+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF\n",  // as crun tells its parts
               stdout);
    return 0;
  }
  const auto applied = Apply(options, context);
  if (!applied.has_value()) return Fail(context, applied.error());
  return RunVerb(context, std::move(options.rest));
}

}  // namespace
}  // namespace coracle::runtime::cli

int main(int argc, char** argv) { return coracle::runtime::cli::Main(argc, argv); }
