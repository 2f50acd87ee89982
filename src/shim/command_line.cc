#include "command_line.h"

#include <algorithm>
#include <string_view>

#include "coracle/base/id.h"

namespace coracle::shim {
namespace {

struct Flag {
  std::string_view name;
  std::string CommandLine::*text;
  bool CommandLine::*is_set;
};
// The last ones are the Go library's; containerd never passes them.
constexpr Flag kFlags[] = {
    {"namespace", &CommandLine::container_namespace, nullptr},
    {"address", &CommandLine::address, nullptr},
    {"publish-binary", &CommandLine::publish_binary, nullptr},
    {"id", &CommandLine::id, nullptr},
    {"bundle", &CommandLine::bundle, nullptr},
    {"debug", nullptr, &CommandLine::debug},
    {"info", nullptr, &CommandLine::info},
    {"v", nullptr, &CommandLine::version},
    {"version", nullptr, &CommandLine::version},
};

Error Usage(const std::string& problem) {
  return {Code::kInvalidConfig, 0,
          problem +
              "; allowed are -namespace N -address A -publish-binary P -id ID -bundle B "
              "-debug with start or delete, -info, -v, and pause"};
}

Status CheckRequired(const CommandLine& result) {
  if (result.info || result.version || result.verb == "pause") return {};
  if (result.verb != "start" && result.verb != "delete")
    return Usage(result.verb.empty() ? "no command" : result.verb + ": unknown command");
  if (result.container_namespace.empty()) return Usage("-namespace: required, but missing");
  TRY(ValidateId(result.container_namespace));
  return ValidateId(result.id);
}

}  // namespace

Result<CommandLine> ParseCommandLine(const std::vector<std::string>& args) {
  CommandLine result;
  for (std::size_t i = 0; i < args.size(); ++i) {
    std::string_view word = args[i];
    if (!word.starts_with('-')) {
      if (!result.verb.empty()) return Usage(args[i] + ": unexpected");
      result.verb = word;
      continue;
    }
    word.remove_prefix(word.starts_with("--") ? 2 : 1);
    const std::size_t equals = word.find('=');
    const auto* flag = std::ranges::find(kFlags, word.substr(0, equals), &Flag::name);
    if (flag == std::end(kFlags)) return Usage(args[i] + ": unknown flag");
    if (flag->is_set != nullptr) {
      result.*flag->is_set = equals == std::string_view::npos || word.substr(equals + 1) == "true";
    } else if (equals != std::string_view::npos) {
      result.*flag->text = word.substr(equals + 1);
    } else if (i + 1 < args.size()) {
      result.*flag->text = args[++i];
    } else {
      return Usage(args[i] + ": needs a value");
    }
  }
  TRY(CheckRequired(result));
  return result;
}

}  // namespace coracle::shim
