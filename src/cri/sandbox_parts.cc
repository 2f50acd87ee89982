#include "sandbox_parts.h"

#include <sys/mount.h>
#include <unistd.h>

#include <climits>

#include "coracle/base/file.h"
#include "coracle/net/netns.h"
#include "coracle/sys/mount.h"
#include "spec_resources.h"
#include "task.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr const char* kShmOptions = "mode=1777,size=67108864";

std::map<std::string, std::string> PodSysctls(const Daemon& daemon,
                                              const v1::PodSandboxConfig& config) {
  std::map<std::string, std::string> sysctls;
  if (!HostNetwork(config)) {
    if (daemon.config.unprivileged_ports) sysctls["net.ipv4.ip_unprivileged_port_start"] = "0";
    if (daemon.config.unprivileged_icmp) sysctls["net.ipv4.ping_group_range"] = "0 2147483647";
  }
  for (const auto& [name, value] : config.linux().sysctls()) sysctls[name] = value;
  return sysctls;
}

Result<std::string> MakeResolvConf(const v1::PodSandboxConfig& config) {
  const v1::DNSConfig& dns = config.dns_config();
  if (dns.servers().empty() && dns.searches().empty() && dns.options().empty()) {
    Result<std::string> host = ReadFile("/etc/resolv.conf");
    if (!host.has_value() && host.error().errnum == ENOENT) return std::string();
    return host;
  }
  std::string text;
  if (!dns.searches().empty()) {
    text += "search " + Join({dns.searches().begin(), dns.searches().end()}, " ") + "\n";
  }
  for (const std::string& server : dns.servers()) text += "nameserver " + server + "\n";
  if (!dns.options().empty()) {
    text += "options " + Join({dns.options().begin(), dns.options().end()}, " ") + "\n";
  }
  return text;
}

Result<std::string> MakeHosts(const SandboxRecord& record) {
  if (HostNetwork(*record.config)) {
    Result<std::string> host = ReadFile("/etc/hosts");
    if (!host.has_value() && host.error().errnum == ENOENT) return std::string();
    return host;
  }
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  const std::string hostname = PodHostname(*record.config);
  for (const std::string& ip : record.ips) {
    if (!hostname.empty()) text += ip + "\t" + hostname + "\n";
  }
  return text;
}

}  // namespace

std::string PauseCgroup(const std::string& pod_cgroup, const std::string& sandbox_id) {
  return pod_cgroup + "/pause-" + sandbox_id;
}

bool HostNetwork(const v1::PodSandboxConfig& config) {
  return config.linux().security_context().namespace_options().network() == v1::NODE;
}

std::string PodHostname(const v1::PodSandboxConfig& config) {
  if (!config.hostname().empty() || !HostNetwork(config)) return config.hostname();
  char name[HOST_NAME_MAX + 1] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

Status PinSandboxNamespaces(Daemon& daemon, const SandboxRecord& record) {
  const SandboxPaths paths = daemon.paths.Sandbox(record.id);
  const auto& modes = record.config->linux().security_context().namespace_options();
  net::PinRequest request;
  if (!HostNetwork(*record.config)) {
    request.network_path = paths.NetworkNamespace();
    request.uts_path = paths.UtsNamespace();
    request.hostname = PodHostname(*record.config);
  }
  if (modes.ipc() != v1::NODE) request.ipc_path = paths.IpcNamespace();
  request.sysctls = PodSysctls(daemon, *record.config);
  const bool nothing = request.network_path.empty() && request.ipc_path.empty();
  if (nothing && request.sysctls.empty()) return {};
  return net::PinNamespaces(request);
}

Status UnpinSandboxNamespaces(const SandboxPaths& paths) {
  for (const std::string& path : {paths.NetworkNamespace(), paths.IpcNamespace(),
                                  paths.UtsNamespace(), paths.PidNamespace()}) {
    TRY(net::UnpinNamespace(path));
  }
  return {};
}

Status MountShm(const SandboxRecord& record, const SandboxPaths& paths) {
  if (record.config->linux().security_context().namespace_options().ipc() == v1::NODE) return {};
  TRY(MakeDirectories(paths.Shm()));
  return sys::mount({.source = "shm",
                     .target = paths.Shm(),
                     .fstype = "tmpfs",
                     .flags = MS_NOSUID | MS_NODEV | MS_NOEXEC,
                     .data = kShmOptions});
}

Status UnmountShm(const SandboxPaths& paths) {
  const Status status = sys::umount2(paths.Shm(), MNT_DETACH | UMOUNT_NOFOLLOW);
  if (status.has_value()) return {};
  const int errnum = status.error().errnum;
  if (errnum == EINVAL || errnum == ENOENT) return {};  // not mounted, or not there
  return status;
}

Status WritePodFiles(const SandboxRecord& record, const SandboxPaths& paths) {
  TRY(WriteFileAtomically(paths.Hostname(), PodHostname(*record.config) + "\n", 0644));
  TRY(WriteFileAtomically(paths.ResolvConf(), TRY(MakeResolvConf(*record.config)), 0644));
  return WriteFileAtomically(paths.Hosts(), TRY(MakeHosts(record)), 0644);
}

Status RemoveSandboxFiles(Daemon& daemon, const SandboxRecord& record) {
  TRY(RemoveTree(daemon.paths.Sandbox(record.id).dir));
  const std::string& parent = record.config->linux().cgroup_parent();
  const std::string pod = TRY(PodCgroup(parent, record.id));
  TRY(RemoveCgroupDirectory(daemon, PauseCgroup(pod, record.id)));
  return parent.empty() ? RemoveCgroupDirectory(daemon, pod) : Status();
}

}  // namespace coracle::cri
