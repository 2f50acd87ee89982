#include "hooks.h"

#include "coracle/base/json.h"
#include "coracle/sys/process.h"

namespace coracle::runtime {
namespace {

Status RunHook(const oci::Hook& hook, const std::string& name, const std::string& input) {
  sys::Command command{.path = hook.path, .args = hook.args, .env = hook.env, .input = input};
  if (command.args.empty()) command.args = {hook.path};
  if (hook.timeout_s) command.timeout = std::chrono::seconds(*hook.timeout_s);
  Result<sys::CommandResult> result = sys::RunCommand(command);
  if (!result.has_value()) return Within(name, result.error());
  if (result->timed_out)
    return Error{Code::kKernel, ETIMEDOUT,
                 name + ": killed after " + std::to_string(*hook.timeout_s) + " s"};
  if (result->exit_code == 0) return {};
  std::string said = result->error_output.empty() ? result->output : result->error_output;
  while (said.ends_with('\n')) said.pop_back();
  return Error{Code::kKernel, 0,
               name + ": exit status " + std::to_string(result->exit_code) +
                   (said.empty() ? "" : ", it said: " + said)};
}

}  // namespace

Status RunHooks(const std::vector<oci::Hook>& hooks, std::string_view kind,
                const oci::State& state) {
  if (hooks.empty()) return {};
  const std::string input = PrintJson(oci::ToJson(state));
  for (std::size_t i = 0; i < hooks.size(); ++i)
    TRY(RunHook(hooks[i],
                std::string(kind) + " hook " + std::to_string(i) + " (" + hooks[i].path + ")",
                input));
  return {};
}

}  // namespace coracle::runtime
