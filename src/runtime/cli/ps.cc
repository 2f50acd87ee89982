#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "cli.h"
#include "coracle/base/json.h"
#include "coracle/sys/process.h"

namespace coracle::runtime::cli {
namespace {

std::string FindInPath(const std::string& name) {
  const char* variable = std::getenv("PATH");
  std::string_view path = variable != nullptr ? variable : "/usr/bin:/bin";
  while (!path.empty()) {
    const std::string_view directory = path.substr(0, path.find(':'));
    path.remove_prefix(std::min(path.size(), directory.size() + 1));
    const std::string candidate = std::string(directory) + "/" + name;
    if (candidate.starts_with('/') && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

Words Fields(std::string_view line) {
  Words fields;
  while (true) {
    const auto begin = line.find_first_not_of(' ');
    if (begin == line.npos) return fields;
    line.remove_prefix(begin);
    fields.emplace_back(line.substr(0, line.find(' ')));
    line.remove_prefix(fields.back().size());
  }
}

// The header, and the lines whose column PID is one of `pids`.
Result<std::string> FilterLines(std::string_view output, const std::vector<pid_t>& pids) {
  const std::string_view header = output.substr(0, output.find('\n'));
  const Words names = Fields(header);
  const auto column = std::ranges::find(names, "PID") - names.begin();
  if (column == static_cast<std::ptrdiff_t>(names.size())) {
    return Error{Code::kInvalidConfig, 0,
                 "ps(1) with these options prints no column PID to know the processes by"};
  }
  std::string text(header);
  text += "\n";
  while (output.find('\n') != output.npos) {
    output.remove_prefix(output.find('\n') + 1);
    const std::string_view line = output.substr(0, output.find('\n'));
    const Words fields = Fields(line);
    if (std::ssize(fields) <= column) continue;
    const auto is_field = [&](pid_t pid) { return fields[column] == std::to_string(pid); };
    if (std::ranges::any_of(pids, is_field)) text.append(line).append("\n");
  }
  return text;
}

Result<std::string> PsTable(const std::vector<pid_t>& pids, Words options) {
  const std::string program = FindInPath("ps");
  if (program.empty())
    return Error{Code::kUnsupported, 0, "ps(1) is not in PATH; --format json needs no program"};
  if (options.empty()) options = {"-ef"};
  options.insert(options.begin(), "ps");
  sys::Command command;
  command.path = program;
  command.args = options;
  for (char** entry = environ; *entry != nullptr; ++entry) command.env.emplace_back(*entry);
  command.output_limit_bytes = 64U << 20;
  const auto result = TRY(sys::RunCommand(command));
  if (result.exit_code != 0) {
    return Error{Code::kKernel, 0,
                 "ps(1) failed with exit code " + std::to_string(result.exit_code) + ": " +
                     result.error_output.substr(0, result.error_output.find('\n'))};
  }
  return FilterLines(result.output, pids);
}

}  // namespace

Result<int> RunPs(Context& context, const Words& words) {
  std::string format = "table";
  Words rest;
  Arguments arguments("coracle ps", "Lists the processes of a container.");
  arguments.Text("-f,--format", format, "table or json");
  arguments.Rest(rest, "container-id [options of ps(1)]");
  if (!TRY(arguments.Parse(words))) return 0;
  if (rest.empty()) return Error{Code::kInvalidConfig, 0, "container-id is required"};
  const bool as_json = TRY(WantsJson(format));
  const auto pids = TRY(Pids(context.runtime, rest.front()));
  rest.erase(rest.begin());
  TRY(Print(as_json ? PrintJson(pids) + "\n" : TRY(PsTable(pids, rest))));
  return 0;
}

}  // namespace coracle::runtime::cli
