// ContainerStats, PodSandboxStats and their lists: from the cgroup files, no shim is asked.
#include "container_end.h"
#include "coracle/net/netns.h"
#include "coracle/runtime/cgroup.h"
#include "describe.h"
#include "rpcs.h"
#include "sandbox_parts.h"
#include "spec_resources.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr std::int64_t kLayerFresh_ns = 10'000'000'000;
constexpr std::uint64_t kUnlimited = ~std::uint64_t{0};  // "max" in a cgroup file

template <class Setter>
void Put(const std::optional<std::uint64_t>& value, Setter&& message) {
  if (value) message()->set_value(*value);
}

void PutPressure(const std::optional<runtime::Pressure>& some,
                 const std::optional<runtime::Pressure>& full,
                 const std::function<v1::PsiStats*()>& psi) {
  if (!some) return;
  const auto put = [](const runtime::Pressure& from, v1::PsiData* to) {
    to->set_total(from.total_us);
    to->set_avg10(from.avg10);
    to->set_avg60(from.avg60);
    to->set_avg300(from.avg300);
  };
  v1::PsiStats* stats = psi();
  put(*some, stats->mutable_some());
  if (full) put(*full, stats->mutable_full());
}

void FillCpu(const runtime::CgroupStats& from, std::int64_t now_ns, CpuRate& rate,
             v1::CpuUsage& to) {
  to.set_timestamp(now_ns);
  if (from.cpu_usage_us) {
    const std::uint64_t usage_ns = *from.cpu_usage_us * 1000;
    to.mutable_usage_core_nano_seconds()->set_value(usage_ns);
    to.mutable_usage_nano_cores()->set_value(rate.Add({.at_ns = now_ns, .usage_ns = usage_ns}));
  }
  PutPressure(from.cpu_some, from.cpu_full, [&] { return to.mutable_psi(); });
}

void FillMemory(const runtime::CgroupStats& from, std::int64_t now_ns, v1::MemoryUsage& to) {
  to.set_timestamp(now_ns);
  PutPressure(from.memory_some, from.memory_full, [&] { return to.mutable_psi(); });
  Put(from.memory_usage, [&] { return to.mutable_usage_bytes(); });
  Put(from.anon, [&] { return to.mutable_rss_bytes(); });
  Put(from.pgfault, [&] { return to.mutable_page_faults(); });
  Put(from.pgmajfault, [&] { return to.mutable_major_page_faults(); });
  if (!from.memory_usage) return;
  // What cannot be reclaimed easily: eviction goes by this.
  const std::uint64_t inactive = from.inactive_file.value_or(0);
  const std::uint64_t working_set = *from.memory_usage - std::min(inactive, *from.memory_usage);
  to.mutable_working_set_bytes()->set_value(working_set);
  if (from.memory_limit && *from.memory_limit != kUnlimited) {
    to.mutable_available_bytes()->set_value(*from.memory_limit -
                                            std::min(working_set, *from.memory_limit));
  }
}

void FillSwap(const runtime::CgroupStats& from, std::int64_t now_ns, v1::SwapUsage& to) {
  to.set_timestamp(now_ns);
  Put(from.swap_usage, [&] { return to.mutable_swap_usage_bytes(); });
  if (from.swap_limit && *from.swap_limit != kUnlimited && from.swap_usage) {
    to.mutable_swap_available_bytes()->set_value(*from.swap_limit -
                                                 std::min(*from.swap_usage, *from.swap_limit));
  }
}

// Walking a writable layer may take long: it is done elsewhere, and the last result is given.
void FillLayer(Daemon& daemon, const std::shared_ptr<Container>& container,
               v1::FilesystemUsage& to) {
  const std::int64_t measured_ns = container->layer_measured_at_ns;
  if (NowUnixNs() - measured_ns > kLayerFresh_ns && !container->layer_measuring.exchange(true)) {
    daemon.measuring.Post([&daemon, container] {
      const auto usage = daemon.images->SnapshotUsage(SnapshotKey(container->id));
      if (usage.has_value()) {
        container->layer_bytes = usage->bytes;
        container->layer_inodes = usage->inodes;
        container->layer_measured_at_ns = NowUnixNs();
      }
      container->layer_measuring = false;
    });
  }
  if (measured_ns == 0) return;
  to.set_timestamp(measured_ns);
  to.mutable_fs_id()->set_mountpoint(daemon.paths.Images());
  to.mutable_used_bytes()->set_value(container->layer_bytes);
  to.mutable_inodes_used()->set_value(container->layer_inodes);
}

// A container that has ended has no cgroup, and nothing in use.
v1::ContainerStats StatsOf(Daemon& daemon, const std::shared_ptr<Container>& container) {
  const ContainerRecord record = container->Read();
  v1::ContainerStats stats;
  auto* attributes = stats.mutable_attributes();
  attributes->set_id(record.id);
  *attributes->mutable_metadata() = record.config->metadata();
  *attributes->mutable_labels() = record.config->labels();
  *attributes->mutable_annotations() = record.config->annotations();
  FillLayer(daemon, container, *stats.mutable_writable_layer());
  if (record.State() == v1::CONTAINER_EXITED) return stats;
  const auto cgroup = runtime::ReadCgroupStats(daemon.host.cgroup_mount + record.cgroups_path);
  if (!cgroup.has_value()) return stats;
  const std::int64_t now_ns = NowUnixNs();
  FillCpu(*cgroup, now_ns, container->cpu_rate, *stats.mutable_cpu());
  FillMemory(*cgroup, now_ns, *stats.mutable_memory());
  FillSwap(*cgroup, now_ns, *stats.mutable_swap());
  stats.mutable_io()->set_timestamp(now_ns);
  PutPressure(cgroup->io_some, cgroup->io_full, [&] { return stats.mutable_io()->mutable_psi(); });
  return stats;
}

void FillNetwork(const std::string& network_path, v1::NetworkUsage& to) {
  const auto interfaces = net::ReadInterfaceStats(network_path);
  if (!interfaces.has_value()) return;
  to.set_timestamp(NowUnixNs());
  for (const net::InterfaceStats& from : *interfaces) {
    const bool first = !to.has_default_interface();
    v1::NetworkInterfaceUsage* usage = first ? to.mutable_default_interface() : to.add_interfaces();
    usage->set_name(from.name);
    usage->mutable_rx_bytes()->set_value(from.rx_bytes);
    usage->mutable_rx_errors()->set_value(from.rx_errors);
    usage->mutable_tx_bytes()->set_value(from.tx_bytes);
    usage->mutable_tx_errors()->set_value(from.tx_errors);
  }
}

v1::PodSandboxStats StatsOf(Daemon& daemon, const std::shared_ptr<Sandbox>& sandbox) {
  const SandboxRecord record = sandbox->Read();
  v1::PodSandboxStats stats;
  auto* attributes = stats.mutable_attributes();
  attributes->set_id(record.id);
  *attributes->mutable_metadata() = record.config->metadata();
  *attributes->mutable_labels() = record.config->labels();
  *attributes->mutable_annotations() = record.config->annotations();
  if (!record.Ready()) return stats;
  auto* linux_ = stats.mutable_linux();
  for (const auto& container : ContainersOf(daemon, sandbox->id)) {
    if (container->Read().State() != v1::CONTAINER_RUNNING) continue;
    *linux_->add_containers() = StatsOf(daemon, container);
  }
  if (!HostNetwork(*record.config)) {
    FillNetwork(daemon.paths.Sandbox(record.id).NetworkNamespace(), *linux_->mutable_network());
  }
  const auto path = PodCgroup(record.config->linux().cgroup_parent(), record.id);
  if (!path.has_value()) return stats;
  const auto cgroup = runtime::ReadCgroupStats(daemon.host.cgroup_mount + *path);
  if (!cgroup.has_value()) return stats;  // no container yet: no cgroup
  const std::int64_t now_ns = NowUnixNs();
  FillCpu(*cgroup, now_ns, sandbox->cpu_rate, *linux_->mutable_cpu());
  FillMemory(*cgroup, now_ns, *linux_->mutable_memory());
  linux_->mutable_process()->set_timestamp(now_ns);
  Put(cgroup->pids_current, [&] { return linux_->mutable_process()->mutable_process_count(); });
  linux_->mutable_io()->set_timestamp(now_ns);
  PutPressure(cgroup->io_some, cgroup->io_full,
              [&] { return linux_->mutable_io()->mutable_psi(); });
  return stats;
}

}  // namespace

namespace rpc {

Result<v1::ContainerStatsResponse> ContainerStats(Daemon& daemon,
                                                  const v1::ContainerStatsRequest& request,
                                                  const Call&) {
  v1::ContainerStatsResponse response;
  *response.mutable_stats() = StatsOf(daemon, TRY(FindContainer(daemon, request.container_id())));
  return response;
}

Result<v1::ListContainerStatsResponse> ListContainerStats(
    Daemon& daemon, const v1::ListContainerStatsRequest& request, const Call&) {
  v1::ListContainerStatsResponse response;
  const v1::ContainerStatsFilter& filter = request.filter();
  for (const auto& container : daemon.containers.List()) {
    const ContainerRecord record = container->Read();
    if (record.State() == v1::CONTAINER_EXITED || !record.id.starts_with(filter.id()) ||
        !record.sandbox_id.starts_with(filter.pod_sandbox_id()) ||
        !Matches(filter.label_selector(), record.config->labels())) {
      continue;
    }
    *response.add_stats() = StatsOf(daemon, container);
  }
  return response;
}

Result<v1::PodSandboxStatsResponse> PodSandboxStats(Daemon& daemon,
                                                    const v1::PodSandboxStatsRequest& request,
                                                    const Call&) {
  v1::PodSandboxStatsResponse response;
  *response.mutable_stats() = StatsOf(daemon, TRY(FindSandbox(daemon, request.pod_sandbox_id())));
  return response;
}

Result<v1::ListPodSandboxStatsResponse> ListPodSandboxStats(
    Daemon& daemon, const v1::ListPodSandboxStatsRequest& request, const Call&) {
  v1::ListPodSandboxStatsResponse response;
  const v1::PodSandboxStatsFilter& filter = request.filter();
  for (const auto& sandbox : daemon.sandboxes.List()) {
    const SandboxRecord record = sandbox->Read();
    if (!record.Ready() || !record.id.starts_with(filter.id()) ||
        !Matches(filter.label_selector(), record.config->labels())) {
      continue;
    }
    *response.add_stats() = StatsOf(daemon, sandbox);
  }
  return response;
}

}  // namespace rpc
}  // namespace coracle::cri
