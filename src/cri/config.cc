#include "config.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <climits>
#include <filesystem>
#include <set>
#include <span>

#include "coracle/base/file.h"

namespace coracle::cri {
namespace {

struct StringKey {
  const char* key;
  std::string Config::*member;
};
struct IntegerKey {
  const char* key;
  std::int64_t Config::*member;
  std::int64_t low, high;
};
struct BoolKey {
  const char* key;
  bool Config::*member;
};

// The keys, as they are written in the file. A dot separates table and key.
constexpr StringKey kStrings[] = {
    {"root", &Config::root},
    {"state", &Config::state},
    {"listen", &Config::listen},
    {"log_level", &Config::log_level},
    {"network.conf_dir", &Config::cni_conf_dir},
    {"image.registry_config_dir", &Config::registry_config_dir},
};
constexpr IntegerKey kIntegers[] = {
    {"network.plugin_timeout_s", &Config::cni_timeout_s, 1, 3600},
    {"image.parallel_downloads", &Config::parallel_downloads, 1, 64},
    {"image.no_progress_timeout_s", &Config::no_progress_timeout_s, 1, 86400},
    {"container.pids_limit", &Config::pids_limit, 0, INT_MAX},
    {"grpc.max_message_bytes", &Config::max_message_bytes, 1 << 20, 1 << 30},
    {"grpc.max_threads", &Config::max_threads, 16, 4096},
};
constexpr BoolKey kBools[] = {
    {"container.unprivileged_ports", &Config::unprivileged_ports},
    {"container.unprivileged_icmp", &Config::unprivileged_icmp},
    {"container.programs_32_bit", &Config::programs_32_bit},
};
constexpr const char* kBinDirs = "network.bin_dirs";
constexpr const char* kMissingControllers = "cgroup.missing_controllers";

constexpr std::array kLogLevels = {"trace", "debug", "info", "warn", "error", "off"};

class FileReader {
 public:
  FileReader(const toml::table& table, std::string file, Config& config)
      : table_(table), file_(std::move(file)), config_(config) {}

  Status Read() {
    for (const StringKey& key : kStrings) String(key.key, config_.*key.member);
    for (const IntegerKey& key : kIntegers) Integer(key);
    for (const BoolKey& key : kBools) Bool(key);
    BinDirs();
    MissingControllers();
    ReportUnknown(table_, "");
    if (problems_.empty()) return {};
    std::string text;
    for (const std::string& problem : problems_) text += (text.empty() ? "" : "; ") + problem;
    return Error{Code::kInvalidConfig, 0, text};
  }

 private:
  toml::node_view<const toml::node> Find(const char* key) {
    known_.insert(key);
    return table_.at_path(key);
  }
  void Problem(const toml::node& node, const std::string& key, const std::string& text) {
    problems_.push_back(file_ + ":" + std::to_string(node.source().begin.line) + ": " + key + ": " +
                        text);
  }
  void String(const char* key, std::string& out) {
    const auto node = Find(key);
    if (!node) return;
    if (!node.is_string()) return Problem(*node.node(), key, "expected a string");
    out = node.value<std::string>().value_or("");
  }
  void Integer(const IntegerKey& key) {
    const auto node = Find(key.key);
    if (!node) return;
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < key.low || *value > key.high) {
      return Problem(*node.node(), key.key,
                     "expected an integer from " + std::to_string(key.low) + " to " +
                         std::to_string(key.high));
    }
    config_.*key.member = *value;
  }
  void Bool(const BoolKey& key) {
    const auto node = Find(key.key);
    if (!node) return;
    if (!node.is_boolean()) return Problem(*node.node(), key.key, "expected true or false");
    config_.*key.member = node.value<bool>().value_or(false);
  }
  void BinDirs() {
    const auto node = Find(kBinDirs);
    if (!node) return;
    const toml::array* array = node.as_array();
    if (array == nullptr || array->empty() || !array->is_homogeneous<std::string>()) {
      return Problem(*node.node(), kBinDirs, "expected a list of directories");
    }
    config_.cni_bin_dirs.clear();
    for (const toml::node& dir : *array) {
      config_.cni_bin_dirs.push_back(dir.value<std::string>().value_or(""));
    }
  }
  void MissingControllers() {
    const auto node = Find(kMissingControllers);
    if (!node) return;
    const std::string value = node.value<std::string>().value_or("");
    if (value != "error" && value != "warn") {
      return Problem(*node.node(), kMissingControllers, "expected \"error\" or \"warn\"");
    }
    config_.ignore_missing_controllers = value == "warn";
  }
  void ReportUnknown(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      if (const toml::table* inner = node.as_table(); inner != nullptr && prefix.empty()) {
        ReportUnknown(*inner, key + ".");
      } else if (!known_.contains(key)) {
        Problem(node, key, "unknown key; see coracled --print-config for all of them");
      }
    }
  }

  const toml::table& table_;
  std::string file_;
  Config& config_;
  std::set<std::string> known_;
  std::vector<std::string> problems_;
};

Status LoadFile(const std::string& file, Config& config) {
  const std::string text = TRY(ReadFile(file, 1U << 20));
  try {
    const toml::table table = toml::parse(text, file);
    return FileReader(table, file, config).Read();
  } catch (const toml::parse_error& error) {
    return Error{Code::kInvalidConfig, 0,
                 file + ":" + std::to_string(error.source().begin.line) + ": " +
                     std::string(error.description())};
  }
}

Status RequireAbsolute(const char* key, const std::string& path) {
  if (path.starts_with('/')) return {};
  return Error{Code::kInvalidConfig, 0,
               std::string(key) + ": \"" + path + "\": expected an absolute path"};
}

}  // namespace

Status LoadConfig(const std::string& file, bool must_exist, Config& config) {
  std::error_code error;
  if (must_exist || std::filesystem::exists(file, error)) TRY(LoadFile(file, config));
  std::vector<std::string> drop_ins;
  for (const auto& entry : std::filesystem::directory_iterator(file + ".d", error)) {
    if (entry.path().extension() == ".toml") drop_ins.push_back(entry.path());
  }
  std::ranges::sort(drop_ins);
  for (const std::string& drop_in : drop_ins) TRY(LoadFile(drop_in, config));
  return {};
}

Status ValidateConfig(const Config& config) {
  TRY(RequireAbsolute("root", config.root));
  TRY(RequireAbsolute("state", config.state));
  TRY(RequireAbsolute("listen", config.Socket()));
  TRY(RequireAbsolute("network.conf_dir", config.cni_conf_dir));
  for (const std::string& dir : config.cni_bin_dirs) TRY(RequireAbsolute(kBinDirs, dir));
  TRY(RequireAbsolute("image.registry_config_dir", config.registry_config_dir));
  if (std::ranges::find(kLogLevels, config.log_level) == kLogLevels.end()) {
    return Error{
        Code::kInvalidConfig, 0,
        "log_level: \"" + config.log_level + "\": expected trace, debug, info, warn, error or off"};
  }
  return {};
}

std::string PrintConfig(const Config& config) {
  toml::table root;
  const auto put = [&root](std::string_view key, auto value) {
    const std::size_t dot = key.find('.');
    if (dot == std::string_view::npos) {
      root.insert_or_assign(key, std::move(value));
      return;
    }
    const std::string_view table = key.substr(0, dot);
    if (root.get(table) == nullptr) root.insert(table, toml::table{});
    root.get(table)->as_table()->insert_or_assign(key.substr(dot + 1), std::move(value));
  };
  for (const StringKey& key : kStrings) put(key.key, config.*key.member);
  put("listen", config.Socket());
  for (const IntegerKey& key : kIntegers) put(key.key, config.*key.member);
  for (const BoolKey& key : kBools) put(key.key, config.*key.member);
  toml::array dirs;
  for (const std::string& dir : config.cni_bin_dirs) dirs.push_back(dir);
  put(kBinDirs, dirs);
  put(kMissingControllers, std::string(config.ignore_missing_controllers ? "warn" : "error"));
  std::ostringstream out;
  out << root << "\n";
  return out.str();
}

Result<CommandLine> ParseCommandLine(int argc, char** argv) {
  CommandLine line;
  Config flags;
  flags.cni_bin_dirs.clear();
  std::string file = kDefaultConfigFile;
  CLI::App app("coracled: runs pods and containers for Kubernetes (CRI v1)", "coracled");
  app.set_version_flag("--version", "coracled " CORACLE_VERSION);
  CLI::Option* file_flag = app.add_option("--config", file, "TOML file")->capture_default_str();
  const std::pair<const char*, std::string Config::*> strings[] = {
      {"--root", &Config::root},
      {"--state", &Config::state},
      {"--listen", &Config::listen},
      {"--cni-conf-dir", &Config::cni_conf_dir},
      {"--registry-config", &Config::registry_config_dir},
      {"--log-level", &Config::log_level},
  };
  std::vector<CLI::Option*> given;
  for (const auto& [name, member] : strings) {
    given.push_back(app.add_option(name, flags.*member, "overrides the file"));
  }
  app.add_option("--cni-bin-dir", flags.cni_bin_dirs, "overrides the file; may be repeated")
      ->allow_extra_args(false);
  app.add_flag("--print-config", line.print_config, "print what is in force, and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    line.exit_code = app.exit(error);
    return line;
  }
  TRY(LoadConfig(file, file_flag->count() > 0, line.config));
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i]->count() > 0) line.config.*strings[i].second = flags.*strings[i].second;
  }
  if (!flags.cni_bin_dirs.empty()) line.config.cni_bin_dirs = flags.cni_bin_dirs;
  TRY(ValidateConfig(line.config));
  return line;
}

Result<std::string> FindProgram(const std::string& name) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return KernelError("readlink(2) /proc/self/exe", error.value());
  const std::string beside = self.parent_path() / name;
  const std::string libexec = self.parent_path().parent_path() / "libexec/coracle" / name;
  for (const std::string& path : {beside, libexec}) {
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Error{Code::kNotFound, 0, "program " + name + " is neither " + beside + " nor " + libexec};
}

}  // namespace coracle::cri
