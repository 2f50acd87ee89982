// coracled's configuration: one TOML file, drop-ins beside it, flags above all.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "paths.h"

namespace coracle::cri {

struct Config {
  std::string root = "/var/lib/coracle";
  std::string state = "/run/coracle";
  std::string listen;  // empty: <state>/coracle.sock
  std::string log_level = "info";

  // [network]
  std::string cni_conf_dir = "/etc/cni/net.d";
  std::vector<std::string> cni_bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
  std::int64_t cni_timeout_s = 60;

  // [image]
  std::string registry_config_dir = "/etc/containerd/certs.d";
  std::int64_t parallel_downloads = 4;
  std::int64_t no_progress_timeout_s = 60;

  // [cgroup]
  bool ignore_missing_controllers = false;  // missing_controllers = "error" | "warn"

  // [container]
  std::int64_t pids_limit = 0;  // of each container; 0: none
  bool unprivileged_ports = true;
  bool unprivileged_icmp = true;
  bool programs_32_bit = true;  // in the seccomp profile RuntimeDefault

  // [grpc]
  std::int64_t max_message_bytes = 16 << 20;
  std::int64_t max_threads = 256;

  [[nodiscard]] std::string Socket() const {
    return listen.empty() ? state + "/coracle.sock" : listen;
  }
  [[nodiscard]] Paths paths() const { return {root, state}; }
};

inline constexpr const char* kDefaultConfigFile = "/etc/coracle/coracled.toml";

// Reads `file` into `config`, then every *.toml in the directory `<file>.d` by name. Unknown keys,
// wrong types and values out of range are all told at once: "file:line: key: what; what is
// allowed". A missing file is an error only if `must_exist`.
Status LoadConfig(const std::string& file, bool must_exist, Config& config);

// What is true of a whole configuration: absolute paths, known words.
Status ValidateConfig(const Config& config);

// The configuration in force as TOML that LoadConfig reads back.
std::string PrintConfig(const Config& config);

// The command line: `--config FILE` first, then all other flags above it.
struct CommandLine {
  Config config;
  bool print_config = false;
  int exit_code = -1;  // 0 or more: everything is said (--help, --version, a wrong flag)
};
Result<CommandLine> ParseCommandLine(int argc, char** argv);

// A program of ours: beside this one, else in ../libexec/coracle. kNotFound names both places.
Result<std::string> FindProgram(const std::string& name);

}  // namespace coracle::cri
