// CNI: how a pod's configuration becomes an attachment.
#include <algorithm>
#include <limits>

#include "sandbox_parts.h"
#include "spec_resources.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr const char* kIngress = "kubernetes.io/ingress-bandwidth";
constexpr const char* kEgress = "kubernetes.io/egress-bandwidth";

// A Kubernetes quantity of bits per second: "10M", "1500k", "1Gi", "1000000".
Result<std::uint64_t> ParseBandwidth(const std::string& key, const std::string& text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::pair<const char*, std::uint64_t> units[] = {
      {"", 1},           {"k", 1'000},      {"M", 1'000'000}, {"G", 1'000'000'000},
      {"Ki", 1UL << 10}, {"Mi", 1UL << 20}, {"Gi", 1UL << 30}};
  std::uint32_t number = 0;
  for (const auto& [unit, factor] : units) {
    if (text.substr(end) == unit && ParseUint32(text.substr(0, end), number) && number > 0) {
      return number * factor;
    }
  }
  return Error{Code::kInvalidConfig, 0,
               "/config/annotations/" + EscapeJsonPointer(key) + ": \"" + text +
                   "\": expected bits per second, a number with k, M, G, Ki, Mi or Gi"};
}

Result<std::optional<Json>> Bandwidth(const v1::PodSandboxConfig& config) {
  Json limits = Json::object();
  for (const auto& [key, rate, burst] : {std::tuple(kIngress, "ingressRate", "ingressBurst"),
                                         std::tuple(kEgress, "egressRate", "egressBurst")}) {
    const auto annotation = config.annotations().find(key);
    if (annotation == config.annotations().end()) continue;
    limits[rate] = TRY(ParseBandwidth(key, annotation->second));
    limits[burst] = std::numeric_limits<std::int32_t>::max();
  }
  if (limits.empty()) return std::optional<Json>();
  return std::optional(std::move(limits));
}

std::string ProtocolName(v1::Protocol protocol) {
  if (protocol == v1::UDP) return "udp";
  return protocol == v1::SCTP ? "sctp" : "tcp";
}

}  // namespace

net::Attachment MakeAttachment(Daemon& daemon, const SandboxRecord& record) {
  const v1::PodSandboxConfig& config = *record.config;
  net::Attachment attachment;
  attachment.container_id = record.id;
  attachment.network_path = daemon.paths.Sandbox(record.id).NetworkNamespace();
  attachment.args = {{"IgnoreUnknown", "1"},
                     {"K8S_POD_NAMESPACE", config.metadata().namespace_()},
                     {"K8S_POD_NAME", config.metadata().name()},
                     {"K8S_POD_INFRA_CONTAINER_ID", record.id},
                     {"K8S_POD_UID", config.metadata().uid()}};
  for (const v1::PortMapping& port : config.port_mappings()) {
    if (port.host_port() <= 0) continue;  // nothing on the host leads there
    attachment.port_mappings.push_back({.protocol = ProtocolName(port.protocol()),
                                        .container_port = port.container_port(),
                                        .host_port = port.host_port(),
                                        .host_ip = port.host_ip()});
  }
  const v1::DNSConfig& dns = config.dns_config();
  if (config.has_dns_config()) {
    attachment.dns =
        Json{{"servers", std::vector<std::string>(dns.servers().begin(), dns.servers().end())},
             {"searches", std::vector<std::string>(dns.searches().begin(), dns.searches().end())},
             {"options", std::vector<std::string>(dns.options().begin(), dns.options().end())}};
  }
  attachment.cgroup_path = PodCgroup(config.linux().cgroup_parent(), record.id).value_or("");
  const std::lock_guard lock(daemon.pod_cidr_mutex);
  if (!daemon.pod_cidr.empty()) attachment.ip_ranges = Split(daemon.pod_cidr, ',');
  return attachment;
}

Status AttachNetwork(Daemon& daemon, SandboxRecord& record) {
  if (HostNetwork(*record.config)) return {};
  net::Attachment attachment = MakeAttachment(daemon, record);
  attachment.bandwidth = TRY(Bandwidth(*record.config));
  const net::CniResult result = TRY(daemon.cni->Attach(attachment));
  record.ips = result.ips;
  record.cni_result = PrintJson(result.raw);
  return {};
}

Status DetachNetwork(Daemon& daemon, const SandboxRecord& record) {
  if (HostNetwork(*record.config)) return {};
  return daemon.cni->Detach(MakeAttachment(daemon, record));
}

}  // namespace coracle::cri
