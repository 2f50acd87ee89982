#include <regex.h>

#include "cli.h"

namespace coracle::runtime::cli {

// crun's `--regex`: what fails for one container is a warning, and the next one comes.
Status ForMatching(const Context& context, const std::string& pattern,
                   const std::function<Status(const std::string& id)>& act) {
  regex_t regex{};
  if (::regcomp(&regex, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0)
    return Error{Code::kInvalidConfig, 0, "invalid regular expression \"" + pattern + "\""};
  const auto states = List(context.runtime);
  for (const oci::State& state : states.value_or(std::vector<oci::State>())) {
    if (::regexec(&regex, state.id.c_str(), 0, nullptr, 0) != 0) continue;
    const Status status = act(state.id);
    if (!status.has_value()) context.log.Warning(status.error().message);
  }
  ::regfree(&regex);
  return states.has_value() ? Status() : Status(states.error());
}

}  // namespace coracle::runtime::cli
