// Container Network Interface 1.1 (github.com/containernetworking/cni, SPEC.md): configuration
// lists, and plugins run as programs. Safe from several threads; no lock is held while one runs.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/json.h"
#include "coracle/base/result.h"

namespace coracle::net {

struct CniOptions {
  std::string conf_dir = "/etc/cni/net.d";  // the first by name of *.conflist, *.conf, *.json
  std::vector<std::string> bin_dirs = {"/opt/cni/bin", "/usr/lib/cni"};
  std::string cache_dir;  // results and configurations of attached containers
  std::chrono::milliseconds plugin_timeout{60'000};
};

struct PortMapping {
  std::string protocol;  // "tcp", "udp", "sctp"
  int container_port = 0, host_port = 0;
  std::string host_ip;
};

struct Attachment {
  std::string container_id;  // the sandbox
  std::string network_path;  // pinned network namespace; empty at DEL when it has vanished
  std::string interface = "eth0";
  std::map<std::string, std::string> args;  // CNI_ARGS: K8S_POD_NAME, ...
  std::vector<PortMapping> port_mappings;
  // Each goes to the plugins whose configuration declares the capability.
  std::optional<Json> bandwidth;       // {ingressRate, ingressBurst, egressRate, egressBurst}
  std::optional<Json> dns;             // {servers, searches, options}
  std::vector<std::string> ip_ranges;  // CIDRs
  std::string cgroup_path;
};

struct CniResult {
  std::vector<std::string> ips;  // without prefix length, the sandbox's own, first first
  Json raw;                      // the last plugin's result, in the configuration's cniVersion
};

class Cni {
 public:
  static Result<std::unique_ptr<Cni>> Open(CniOptions options);
  virtual ~Cni() = default;

  // Ready, or why not (no configuration, or a broken one: file, place, what is allowed; with CNI
  // 1.1 what STATUS says). Looks at the directory anew: a change counts from the next call on.
  virtual Status Ready() = 0;
  // The configuration list in force, as JSON text; for `crictl info`.
  virtual Result<Json> Configuration() = 0;

  // ADD. On failure every plugin that was run has been given DEL.
  virtual Result<CniResult> Attach(const Attachment& attachment) = 0;
  virtual Status Check(const Attachment& attachment) = 0;
  // DEL with the configuration and result cached at ADD, all plugins in reverse, even if one
  // fails; twice, or never attached: success.
  virtual Status Detach(const Attachment& attachment) = 0;
  // GC (CNI 1.1): plugins may free what belongs to no attachment of these containers, the living
  // ones. Waits for every ADD and DEL, and they for it. No substitute for Detach.
  virtual Status CollectGarbage(const std::vector<std::string>& container_ids) = 0;
  // Container ids with a cached attachment: recovery compares them with its sandboxes.
  virtual Result<std::vector<std::string>> Attached() = 0;
};

}  // namespace coracle::net
