#include "spec_print.h"

namespace coracle::oci {
namespace {

Json Print(const DeviceRule& rule) {
  Json json = {{"allow", rule.allow}};
  if (rule.type != "a") json["type"] = rule.type;
  PutMember(json, "major", rule.major);
  PutMember(json, "minor", rule.minor);
  PutMember(json, "access", rule.access);
  return json;
}

Json Print(const MemoryLimits& memory) {
  Json json = Json::object();
  PutMember(json, "limit", memory.limit);
  PutMember(json, "reservation", memory.reservation);
  PutMember(json, "swap", memory.swap);
  PutMember(json, "kernel", memory.kernel);
  PutMember(json, "kernelTCP", memory.kernel_tcp);
  PutMember(json, "swappiness", memory.swappiness);
  PutMember(json, "disableOOMKiller", memory.disable_oom_killer);
  PutMember(json, "useHierarchy", memory.use_hierarchy);
  PutMember(json, "checkBeforeUpdate", memory.check_before_update);
  return json;
}

Json Print(const CpuLimits& cpu) {
  Json json = Json::object();
  PutMember(json, "shares", cpu.shares);
  PutMember(json, "quota", cpu.quota_us);
  PutMember(json, "burst", cpu.burst_us);
  PutMember(json, "period", cpu.period_us);
  PutMember(json, "realtimeRuntime", cpu.realtime_runtime_us);
  PutMember(json, "realtimePeriod", cpu.realtime_period_us);
  PutMember(json, "cpus", cpu.cpus);
  PutMember(json, "mems", cpu.mems);
  PutMember(json, "idle", cpu.idle);
  return json;
}

Json Print(const WeightDevice& device) {
  Json json = {{"major", device.major}, {"minor", device.minor}};
  PutMember(json, "weight", device.weight);
  PutMember(json, "leafWeight", device.leaf_weight);
  return json;
}

Json Print(const ThrottleDevice& device) {
  return {{"major", device.major}, {"minor", device.minor}, {"rate", device.rate}};
}

Json Print(const BlockIoLimits& io) {
  const auto throttle = [](const ThrottleDevice& device) { return Print(device); };
  Json json = Json::object();
  PutMember(json, "weight", io.weight);
  PutMember(json, "leafWeight", io.leaf_weight);
  PutList(json, "weightDevice", io.weight_device,
          [](const WeightDevice& device) { return Print(device); });
  PutList(json, "throttleReadBpsDevice", io.throttle_read_bps_device, throttle);
  PutList(json, "throttleWriteBpsDevice", io.throttle_write_bps_device, throttle);
  PutList(json, "throttleReadIOPSDevice", io.throttle_read_iops_device, throttle);
  PutList(json, "throttleWriteIOPSDevice", io.throttle_write_iops_device, throttle);
  return json;
}

Json Print(const NetworkLimits& network) {
  Json json = Json::object();
  PutMember(json, "classID", network.class_id);
  for (const auto& [name, priority] : network.priorities)
    json["priorities"].push_back({{"name", name}, {"priority", priority}});
  return json;
}

Json Print(const RdmaLimit& limit) {
  Json json = Json::object();
  PutMember(json, "hcaHandles", limit.hca_handles);
  PutMember(json, "hcaObjects", limit.hca_objects);
  return json;
}

}  // namespace

Json ToJson(const Resources& resources) {
  Json json = Json::object();
  PutList(json, "devices", resources.devices, [](const DeviceRule& rule) { return Print(rule); });
  if (resources.memory) json["memory"] = Print(*resources.memory);
  if (resources.cpu) json["cpu"] = Print(*resources.cpu);
  if (resources.pids_limit) json["pids"] = {{"limit", *resources.pids_limit}};
  if (resources.block_io) json["blockIO"] = Print(*resources.block_io);
  PutList(json, "hugepageLimits", resources.hugepage_limits, [](const HugepageLimit& limit) {
    return Json{{"pageSize", limit.page_size}, {"limit", limit.limit}};
  });
  if (resources.network) json["network"] = Print(*resources.network);
  PutMap(json, "rdma", resources.rdma, [](const RdmaLimit& limit) { return Print(limit); });
  PutMember(json, "unified", resources.unified);
  return json;
}

}  // namespace coracle::oci
