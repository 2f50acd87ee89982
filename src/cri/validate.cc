#include "validate.h"

#include <algorithm>

#include "spec_mounts.h"
#include "spec_resources.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr std::size_t kMaxName = 253;          // bytes, as Kubernetes
constexpr std::size_t kMaxHostname = 64;       // __NEW_UTS_LEN
constexpr std::size_t kMaxMounts = 1024;       // also devices
constexpr std::size_t kMaxTagBytes = 1 << 20;  // labels and annotations, all together

Error Bad(const std::string& where, const std::string& text) {
  return {Code::kInvalidConfig, 0, where + ": " + text};
}

// Names become CNI arguments and lines of files: nothing that ends a line or an argument.
Status ValidateName(const std::string& where, const std::string& name) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (name.empty()) return Bad(where, "required, but missing");
  if (name.size() <= kMaxName && name.find_first_not_of(kAllowed) == std::string::npos) return {};
  return Bad(where, "\"" + ToUtf8(name).substr(0, 64) +
                        "\": expected 1 to 253 letters, digits, \"-\", \"_\", \".\"");
}

Status ValidateWord(const std::string& where, const std::string& word) {
  const bool clean =
      std::ranges::none_of(word, [](unsigned char c) { return c <= ' ' || c == 0x7f; });
  if (!word.empty() && word.size() <= kMaxName && clean) return {};
  return Bad(where, "expected a word of 1 to 253 bytes without spaces and control characters");
}

template <class Map>
Status ValidateTags(const std::string& where, const Map& tags) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : tags) bytes += key.size() + value.size();
  if (bytes <= kMaxTagBytes) return {};
  return Bad(where, std::to_string(bytes) + " bytes: expected at most 1 MiB altogether");
}

Status ValidateHostname(const std::string& hostname) {
  if (hostname.empty()) return {};
  const std::string where = "/config/hostname";
  if (hostname.size() > kMaxHostname) {
    return Bad(where, std::to_string(hostname.size()) + " bytes: expected at most 64");
  }
  return ValidateName(where, hostname);
}

Status ValidateModes(const v1::NamespaceOption& modes) {
  const std::string where = "/config/linux/security_context/namespace_options";
  if (modes.network() != v1::POD && modes.network() != v1::NODE) {
    return Bad(where + "/network", "expected POD or NODE");
  }
  if (modes.ipc() != v1::POD && modes.ipc() != v1::NODE) {
    return Bad(where + "/ipc", "expected POD or NODE");
  }
  if (modes.pid() != v1::POD && modes.pid() != v1::CONTAINER && modes.pid() != v1::NODE) {
    return Bad(where + "/pid", "expected POD, CONTAINER or NODE");
  }
  if (!modes.has_userns_options() || modes.userns_options().mode() == v1::NODE) return {};
  if (modes.userns_options().mode() != v1::POD) {
    return Bad(where + "/userns_options/mode", "expected POD or NODE");
  }
  return Error{Code::kUnsupported, 0,
               where + "/userns_options: user namespaces are not supported by this handler"};
}

Status ValidateDns(const v1::DNSConfig& dns) {
  const std::pair<const char*, const google::protobuf::RepeatedPtrField<std::string>*> lists[] = {
      {"servers", &dns.servers()}, {"searches", &dns.searches()}, {"options", &dns.options()}};
  for (const auto& [name, list] : lists) {
    for (int i = 0; i < list->size(); ++i) {
      TRY(ValidateWord(std::string("/config/dns_config/") + name + "/" + std::to_string(i),
                       list->Get(i)));
    }
  }
  return {};
}

Status ValidatePorts(const v1::PodSandboxConfig& config) {
  for (int i = 0; i < config.port_mappings_size(); ++i) {
    const v1::PortMapping& port = config.port_mappings(i);
    const std::string where = "/config/port_mappings/" + std::to_string(i);
    if (port.host_port() < 0 || port.host_port() > 65535) {
      return Bad(where + "/host_port", "expected 0 (none) to 65535");
    }
    if (port.host_port() > 0 && (port.container_port() < 1 || port.container_port() > 65535)) {
      return Bad(where + "/container_port", "expected 1 to 65535");
    }
    if (port.protocol() < v1::TCP || port.protocol() > v1::SCTP) {
      return Bad(where + "/protocol", "expected TCP, UDP or SCTP");
    }
  }
  return {};
}

// A sysctl counts only for a namespace of the pod's own (CVE-2022-0532), and a value is one line
// (CVE-2022-0811).
Status ValidateSysctls(const v1::PodSandboxConfig& config) {
  const auto& modes = config.linux().security_context().namespace_options();
  for (const auto& [key, value] : config.linux().sysctls()) {
    std::string name = key;
    std::ranges::replace(name, '/', '.');
    const std::string where = "/config/linux/sysctls/" + ToUtf8(key);
    constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    if (name.find_first_not_of(kAllowed) != std::string::npos ||
        name.find("..") != std::string::npos) {
      return Bad(where, "expected a name like net.ipv4.ip_forward");
    }
    if (value.empty() || value.size() > 1024 ||
        value.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos) {
      return Bad(where, "expected a value of one line, 1 to 1024 bytes");
    }
    const bool net = name.starts_with("net.");
    const bool ipc = name.starts_with("kernel.shm") || name.starts_with("kernel.msg") ||
                     name == "kernel.sem" || name.starts_with("fs.mqueue.");
    if (!net && !ipc) return Bad(where, "belongs to no namespace: it would change the host");
    if (net && modes.network() == v1::NODE) return Bad(where, "the pod has the host's network");
    if (ipc && modes.ipc() == v1::NODE) return Bad(where, "the pod has the host's IPC namespace");
  }
  return {};
}

}  // namespace

Status ValidatePod(const v1::PodSandboxConfig& config) {
  if (!config.has_metadata()) return Bad("/config/metadata", "required, but missing");
  const v1::PodSandboxMetadata& metadata = config.metadata();
  TRY(ValidateName("/config/metadata/name", metadata.name()));
  TRY(ValidateName("/config/metadata/namespace", metadata.namespace_()));
  TRY(ValidateName("/config/metadata/uid", metadata.uid()));
  TRY(ValidateTags("/config/labels", config.labels()));
  TRY(ValidateTags("/config/annotations", config.annotations()));
  TRY(ValidateHostname(config.hostname()));
  TRY(LogPath(config.log_directory(), ""));
  TRY(ValidateModes(config.linux().security_context().namespace_options()));
  TRY(ValidateDns(config.dns_config()));
  TRY(ValidatePorts(config));
  TRY(ValidateSysctls(config));
  TRY(PodCgroup(config.linux().cgroup_parent(), ""));
  return {};
}

Status ValidateContainer(const v1::ContainerConfig& config) {
  if (!config.has_metadata()) return Bad("/config/metadata", "required, but missing");
  TRY(ValidateName("/config/metadata/name", config.metadata().name()));
  TRY(ValidateTags("/config/labels", config.labels()));
  TRY(ValidateTags("/config/annotations", config.annotations()));
  if (config.image().image().empty()) {
    return Bad("/config/image/image", "required, but missing");
  }
  if (config.mounts_size() > static_cast<int>(kMaxMounts)) {
    return Bad("/config/mounts", "expected at most 1024");
  }
  if (config.devices_size() > static_cast<int>(kMaxMounts)) {
    return Bad("/config/devices", "expected at most 1024");
  }
  if (config.cdi_devices_size() > 0) {
    return Error{Code::kUnsupported, 0, "/config/CDI_devices: CDI is not supported"};
  }
  for (int i = 0; i < config.mounts_size(); ++i) {
    TRY(ValidateMount(config.mounts(i), "/config/mounts/" + std::to_string(i)));
  }
  return {};
}

Result<std::string> LogPath(const std::string& log_directory, const std::string& log_path) {
  if (log_directory.empty()) return std::string();
  if (!log_directory.starts_with('/') || log_directory.find('\0') != std::string::npos) {
    return Bad("/config/log_directory", "expected an absolute path");
  }
  if (log_path.empty()) return std::string();
  for (const std::string& part : Split(log_path, '/')) {
    if (part == "..") return Bad("/config/log_path", "expected no \"..\"");
  }
  if (log_path.starts_with('/') || log_path.find('\0') != std::string::npos) {
    return Bad("/config/log_path", "expected a path relative to the pod's log_directory");
  }
  return CleanPath(log_directory + "/" + log_path);
}

}  // namespace coracle::cri
