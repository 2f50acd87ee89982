#include "cni_plugin.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "coracle/sys/process.h"

namespace coracle::net {
namespace {

constexpr int kUnknownContainer = 3;            // SPEC.md section 5: no clean-up is needed
constexpr std::size_t kMaxMessageBytes = 2048;  // what a plugin may add to an error
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What a plugin prints goes into one line of ours.
std::string OneLine(std::string text) {
  if (text.size() > kMaxMessageBytes) text.resize(kMaxMessageBytes);
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, ' ');
  const auto end = text.find_last_not_of(' ');
  return end == std::string::npos ? "" : text.substr(0, end + 1);
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ":") + part;
  return text;
}

// Nothing of our own environment but PATH, which plugins need for iptables and the like.
std::vector<std::string> Environment(const PluginCall& call) {
  const char* path = ::secure_getenv("PATH");
  std::vector<std::string> env = {
      std::string("PATH=") + (path != nullptr ? path : kDefaultPath),
      "CNI_COMMAND=" + call.command,
      "CNI_PATH=" + Joined(call.bin_dirs),
  };
  if (call.container_id.empty()) return env;  // STATUS, GC, VERSION
  env.push_back("CNI_CONTAINERID=" + call.container_id);
  env.push_back("CNI_NETNS=" + call.network_path);
  env.push_back("CNI_IFNAME=" + call.interface);
  if (!call.args.empty()) env.push_back("CNI_ARGS=" + call.args);
  return env;
}

std::string MemberText(const Json& object, const char* key) {
  const auto member = object.find(key);
  if (member == object.end()) return "";
  return member->is_string() ? member->get<std::string>() : PrintJson(*member);
}

// "code 7: Invalid Configuration: Network too small", or what went to stderr.
std::string Complaint(const sys::CommandResult& result, const Result<Json>& output) {
  if (!output.has_value() || !output->is_object() || !output->contains("code"))
    return "exit " + std::to_string(result.exit_code) + ": " +
           OneLine(result.error_output.empty() ? result.output : result.error_output);
  std::string text = "code " + MemberText(*output, "code");
  for (const char* key : {"msg", "details"}) {
    if (const std::string part = MemberText(*output, key); !part.empty()) text += ": " + part;
  }
  return OneLine(std::move(text));
}

bool IsUnknownContainer(const Result<Json>& output) {
  if (!output.has_value() || !output->is_object()) return false;
  const auto code = output->find("code");
  return code != output->end() && *code == kUnknownContainer;
}

Result<Json> Run(const PluginCall& call, const std::string& type, const Json& request) {
  const std::string who = "CNI plugin " + type + " " + call.command +
                          (call.network.empty() ? "" : " network=" + call.network);
  const std::string path = TRY(FindPlugin(type, call.bin_dirs));
  const Result<sys::CommandResult> result = sys::RunCommand({.path = path,
                                                             .args = {path},
                                                             .env = Environment(call),
                                                             .input = PrintJson(request),
                                                             .timeout = call.timeout});
  if (!result.has_value()) return Within(who, result.error());
  if (result->timed_out)
    return Error{Code::kKernel, ETIMEDOUT,
                 who + ": not done after " + std::to_string(call.timeout.count()) + " ms, killed"};
  Result<Json> output = ParseJson(result->output, "stdout");
  if (result->exit_code == 0) {
    if (result->output.find_first_not_of(" \t\r\n") == std::string::npos) return Json();
    if (!output.has_value())
      return Error{Code::kProtocol, 0, who + ": " + OneLine(output.error().message)};
    return output;
  }
  if (call.command == "DEL" && IsUnknownContainer(output)) return Json();
  return Error{Code::kKernel, 0, who + ": " + Complaint(*result, output)};
}

}  // namespace

Result<std::string> FindPlugin(const std::string& type, const std::vector<std::string>& bin_dirs) {
  for (const std::string& directory : bin_dirs) {
    std::string path = directory + "/" + type;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if ((status.st_mode & S_IWOTH) != 0)
      return Error{Code::kInvalidConfig, 0, path + ": anybody may write this plugin; not run"};
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Error{Code::kNotFound, 0, "CNI plugin \"" + type + "\": not found in " + Joined(bin_dirs)};
}

Result<Json> RunPlugin(const PluginCall& call, const Json& request) {
  return Run(call, MemberText(request, "type"), request);
}

Result<std::vector<std::string>> PluginVersions(const PluginCall& call, const std::string& type) {
  PluginCall version_call = call;
  version_call.command = "VERSION";
  const Json answer = TRY(Run(version_call, type, Json{{"cniVersion", "1.1.0"}}));
  std::vector<std::string> versions;
  if (answer.is_object() && answer.contains("supportedVersions")) {
    for (const Json& version : answer["supportedVersions"]) {
      if (version.is_string()) versions.push_back(version.get<std::string>());
    }
  }
  if (versions.empty())
    return Error{Code::kProtocol, 0,
                 "CNI plugin " + type + " VERSION: no supportedVersions in its answer"};
  return versions;
}

}  // namespace coracle::net
