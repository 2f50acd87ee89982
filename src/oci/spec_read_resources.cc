#include "spec_read.h"

namespace coracle::oci {
namespace {

struct Priority {
  std::string name;
  std::uint32_t priority = 0;
};

struct Pids {
  std::int64_t limit = 0;
};

void Read(JsonReader& reader, Priority& priority) {
  reader.Required("name", priority.name);
  reader.Required("priority", priority.priority);
}

void Read(JsonReader& reader, Pids& pids) { reader.Required("limit", pids.limit); }

}  // namespace

void Read(JsonReader& reader, Resources& resources) {
  reader.Optional("devices", resources.devices);
  reader.Optional("memory", resources.memory);
  reader.Optional("cpu", resources.cpu);
  std::optional<Pids> pids;
  reader.Optional("pids", pids);
  if (pids) resources.pids_limit = pids->limit;
  reader.Optional("blockIO", resources.block_io);
  reader.Optional("hugepageLimits", resources.hugepage_limits);
  reader.Optional("network", resources.network);
  reader.Optional("rdma", resources.rdma);
  reader.Optional("unified", resources.unified);
}

void Read(JsonReader& reader, DeviceRule& rule) {
  reader.Required("allow", rule.allow);
  reader.Optional("type", rule.type);
  reader.Optional("major", rule.major);
  reader.Optional("minor", rule.minor);
  reader.Optional("access", rule.access);
}

void Read(JsonReader& reader, MemoryLimits& memory) {
  reader.Optional("limit", memory.limit);
  reader.Optional("reservation", memory.reservation);
  reader.Optional("swap", memory.swap);
  reader.Optional("kernel", memory.kernel);
  reader.Optional("kernelTCP", memory.kernel_tcp);
  reader.Optional("swappiness", memory.swappiness);
  reader.Optional("disableOOMKiller", memory.disable_oom_killer);
  reader.Optional("useHierarchy", memory.use_hierarchy);
  reader.Optional("checkBeforeUpdate", memory.check_before_update);
}

void Read(JsonReader& reader, CpuLimits& cpu) {
  reader.Optional("shares", cpu.shares);
  reader.Optional("quota", cpu.quota_us);
  reader.Optional("burst", cpu.burst_us);
  reader.Optional("period", cpu.period_us);
  reader.Optional("realtimeRuntime", cpu.realtime_runtime_us);
  reader.Optional("realtimePeriod", cpu.realtime_period_us);
  reader.Optional("cpus", cpu.cpus);
  reader.Optional("mems", cpu.mems);
  reader.Optional("idle", cpu.idle);
}

void Read(JsonReader& reader, BlockIoLimits& io) {
  reader.Optional("weight", io.weight);
  reader.Optional("leafWeight", io.leaf_weight);
  reader.Optional("weightDevice", io.weight_device);
  reader.Optional("throttleReadBpsDevice", io.throttle_read_bps_device);
  reader.Optional("throttleWriteBpsDevice", io.throttle_write_bps_device);
  reader.Optional("throttleReadIOPSDevice", io.throttle_read_iops_device);
  reader.Optional("throttleWriteIOPSDevice", io.throttle_write_iops_device);
}

void Read(JsonReader& reader, WeightDevice& device) {
  reader.Required("major", device.major);
  reader.Required("minor", device.minor);
  reader.Optional("weight", device.weight);
  reader.Optional("leafWeight", device.leaf_weight);
}

void Read(JsonReader& reader, ThrottleDevice& device) {
  reader.Required("major", device.major);
  reader.Required("minor", device.minor);
  reader.Required("rate", device.rate);
}

void Read(JsonReader& reader, HugepageLimit& limit) {
  reader.Required("pageSize", limit.page_size);
  reader.Required("limit", limit.limit);
}

void Read(JsonReader& reader, NetworkLimits& network) {
  reader.Optional("classID", network.class_id);
  std::vector<Priority> priorities;
  reader.Optional("priorities", priorities);
  for (const auto& [name, priority] : priorities) network.priorities[name] = priority;
}

void Read(JsonReader& reader, RdmaLimit& limit) {
  reader.Optional("hcaHandles", limit.hca_handles);
  reader.Optional("hcaObjects", limit.hca_objects);
}

}  // namespace coracle::oci
