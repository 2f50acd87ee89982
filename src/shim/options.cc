#include "options.h"

#include <optional>
#include <string_view>

#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "runc/options.pb.h"
#include "runtime_options.pb.h"
#include "wire.pb.h"

namespace coracle::shim {

void Read(JsonReader& reader, ShimOptions& options) {
  reader.Optional("root", options.root);
  reader.Optional("ignoreMissingControllers", options.ignore_missing_controllers);
  reader.Optional("systemdCgroup", options.systemd_cgroup);
  reader.Optional("noPivotRoot", options.no_pivot_root);
  reader.Optional("noNewKeyring", options.no_new_keyring);
}

namespace {

constexpr std::string_view kWhat = "runtime options";

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Error BadOption(std::string_view key, std::string_view value, std::string_view allowed) {
  return {Code::kInvalidConfig, 0,
          std::string(kWhat) + ": " + std::string(key) + ": " + std::string(value) + ": expected " +
              std::string(allowed)};
}

Status ReadString(std::string_view key, std::string_view value, std::string& out) {
  const bool is_quoted = value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
                         value.front() == value.back();
  if (!is_quoted) return BadOption(key, value, "a string");
  out = value.substr(1, value.size() - 2);
  return {};
}

Status ReadBool(std::string_view key, std::string_view value, bool& out) {
  if (value != "true" && value != "false") return BadOption(key, value, "true or false");
  out = value == "true";
  return {};
}

// The table as containerd prints it again: `key = value` lines. We look for three plain keys, so
// this is no TOML parser, and a value that is none of ours is not looked at.
Status ReadToml(std::string_view text, ShimOptions& options) {
  bool is_top_level = true;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (Trim(line).starts_with('[')) is_top_level = false;
    const std::size_t equals = line.find('=');
    if (!is_top_level || equals == std::string_view::npos) continue;
    const std::string_view key = Trim(line.substr(0, equals));
    const std::string_view value = Trim(line.substr(equals + 1));
    if (key == "root") TRY(ReadString(key, value, options.root));
    if (key == "ignore_missing_controllers")
      TRY(ReadBool(key, value, options.ignore_missing_controllers));
    // The name that it has in containerd's own table for runc.
    if (key == "SystemdCgroup") TRY(ReadBool(key, value, options.systemd_cgroup));
  }
  return {};
}

Status ReadTable(const std::string& text, ShimOptions& options) {
  if (Trim(text).starts_with('{')) {
    const Json json = TRY(ParseJson(text, std::string(kWhat)));
    return ReadJsonDocument(json, std::string(kWhat), options);
  }
  return ReadToml(text, options);
}

Status CheckRoot(const ShimOptions& options) {
  if (options.root.starts_with('/')) return {};
  return BadOption("root", options.root, "an absolute path");
}

}  // namespace

ShimOptions DefaultOptions(const std::string& container_namespace) {
  ShimOptions options;
  options.root = "/run/containerd/coracle/" + container_namespace;
  options.ignore_missing_controllers = runtime::IgnoreMissingControllersByEnvironment();
  return options;
}

Status ReadOptions(const wire::Any& any, const std::string& container_namespace,
                   ShimOptions& options) {
  const std::string type = any.type_url().substr(any.type_url().rfind('/') + 1);
  if (type == "runtimeoptions.v1.Options") {
    runtimeoptions::v1::Options table;
    if (!table.ParseFromString(any.value()))
      return Error{Code::kInvalidConfig, 0, type + ": unreadable"};
    if (!table.config_path().empty()) TRY(ReadTable(TRY(ReadFile(table.config_path())), options));
    TRY(ReadTable(table.config_body(), options));
  } else if (type == "containerd.runc.v1.Options") {
    containerd::runc::v1::Options runc;
    if (!runc.ParseFromString(any.value()))
      return Error{Code::kInvalidConfig, 0, type + ": unreadable"};
    if (!runc.root().empty()) options.root = runc.root() + "/" + container_namespace;
    options.systemd_cgroup = runc.systemd_cgroup();
    options.no_pivot_root = runc.no_pivot_root();
    options.no_new_keyring = runc.no_new_keyring();
  }
  return CheckRoot(options);
}

runtime::Runtime MakeRuntime(const ShimOptions& options) {
  runtime::Runtime runtime;
  runtime.root = options.root;
  if (options.systemd_cgroup) runtime.cgroup_manager = runtime::CgroupManager::kSystemd;
  runtime.ignore_missing_controllers = options.ignore_missing_controllers;
  return runtime;
}

Status SaveOptions(const std::string& bundle, const ShimOptions& options) {
  const Json json = {{"root", options.root},
                     {"ignoreMissingControllers", options.ignore_missing_controllers},
                     {"systemdCgroup", options.systemd_cgroup},
                     {"noPivotRoot", options.no_pivot_root},
                     {"noNewKeyring", options.no_new_keyring}};
  return WriteFileAtomically(bundle + "/options.json", PrintJson(json) + "\n", 0600);
}

Result<ShimOptions> LoadOptions(const std::string& bundle, const std::string& container_namespace) {
  ShimOptions options = DefaultOptions(container_namespace);
  const std::string path = bundle + "/options.json";
  const auto text = ReadFile(path);
  if (!text && text.error().errnum == ENOENT) return options;
  if (!text) return text.error();
  TRY(ReadJsonDocument(TRY(ParseJson(*text, path)), path, options));
  TRY(CheckRoot(options));
  return options;
}

}  // namespace coracle::shim
