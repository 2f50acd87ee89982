// One run of one CNI plugin: SPEC.md section 2.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "coracle/base/json.h"
#include "coracle/base/result.h"

namespace coracle::net {

struct PluginCall {
  std::string command = {};  // CNI_COMMAND: "ADD", ...
  std::string network = {};  // its name, for messages
  std::string container_id = {}, network_path = {}, interface = {}, args = {};
  std::vector<std::string> bin_dirs = {};
  std::chrono::milliseconds timeout{};
};

// Absolute path of the plugin `type` in one of `bin_dirs`, and nowhere else.
Result<std::string> FindPlugin(const std::string& type, const std::vector<std::string>& bin_dirs);

// Gives `request` to the plugin named by its "type". Its result, or null when it printed nothing.
// Its error object becomes one line: plugin, command, network, code, message, details. A DEL that
// is answered with code 3, "container unknown", has nothing to do: success.
Result<Json> RunPlugin(const PluginCall& call, const Json& request);

// VERSION: what the plugin speaks.
Result<std::vector<std::string>> PluginVersions(const PluginCall& call, const std::string& type);

}  // namespace coracle::net
