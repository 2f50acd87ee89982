#include "spec_print.h"

namespace coracle::oci {
namespace {

Json Print(const Namespace& ns) {
  Json json = {{"type", ns.type}};
  PutMember(json, "path", ns.path);
  return json;
}

Json Print(const Device& device) {
  Json json = {{"type", device.type}, {"path", device.path}};
  PutMember(json, "major", device.major);
  PutMember(json, "minor", device.minor);
  PutMember(json, "fileMode", device.file_mode);
  PutMember(json, "uid", device.uid);
  PutMember(json, "gid", device.gid);
  return json;
}

Json Print(const NetDevice& device) {
  Json json = Json::object();
  PutMember(json, "name", device.name);
  return json;
}

Json Print(const SeccompArg& arg) {
  Json json = {{"index", arg.index}, {"value", arg.value}};
  PutMember(json, "valueTwo", arg.value_two);
  json["op"] = arg.op;
  return json;
}

Json Print(const SeccompRule& rule) {
  Json json = {{"names", rule.names}, {"action", rule.action}};
  PutMember(json, "errnoRet", rule.errno_ret);
  PutList(json, "args", rule.args, [](const SeccompArg& arg) { return Print(arg); });
  return json;
}

Json Print(const Seccomp& seccomp) {
  Json json = {{"defaultAction", seccomp.default_action}};
  PutMember(json, "defaultErrnoRet", seccomp.default_errno_ret);
  PutMember(json, "architectures", seccomp.architectures);
  PutMember(json, "flags", seccomp.flags);
  PutMember(json, "listenerPath", seccomp.listener_path);
  PutMember(json, "listenerMetadata", seccomp.listener_metadata);
  PutList(json, "syscalls", seccomp.syscalls, [](const SeccompRule& rule) { return Print(rule); });
  return json;
}

Json Print(const IntelRdt& rdt) {
  Json json = Json::object();
  PutMember(json, "closID", rdt.clos_id);
  PutMember(json, "schemata", rdt.schemata);
  PutMember(json, "l3CacheSchema", rdt.l3_cache_schema);
  PutMember(json, "memBwSchema", rdt.mem_bw_schema);
  PutMember(json, "enableMonitoring", rdt.enable_monitoring);
  return json;
}

Json Print(const MemoryPolicy& policy) {
  Json json = {{"mode", policy.mode}};
  PutMember(json, "nodes", policy.nodes);
  PutMember(json, "flags", policy.flags);
  return json;
}

Json Print(const Personality& personality) {
  Json json = {{"domain", personality.domain}};
  PutMember(json, "flags", personality.flags);
  return json;
}

}  // namespace

Json PrintLinux(const Linux& linux_) {
  Json json = Json::object();
  PutList(json, "namespaces", linux_.namespaces, [](const Namespace& ns) { return Print(ns); });
  PutList(json, "uidMappings", linux_.uid_mappings, PrintIdMapping);
  PutList(json, "gidMappings", linux_.gid_mappings, PrintIdMapping);
  PutMap(json, "timeOffsets", linux_.time_offsets, [](const TimeOffset& offset) {
    return Json{{"secs", offset.secs}, {"nanosecs", offset.nanosecs}};
  });
  PutList(json, "devices", linux_.devices, [](const Device& device) { return Print(device); });
  PutMap(json, "netDevices", linux_.net_devices,
         [](const NetDevice& device) { return Print(device); });
  PutMember(json, "cgroupsPath", linux_.cgroups_path);
  PutObject(json, "resources", ToJson(linux_.resources));
  PutMember(json, "rootfsPropagation", linux_.rootfs_propagation);
  if (linux_.seccomp) json["seccomp"] = Print(*linux_.seccomp);
  PutMember(json, "sysctl", linux_.sysctl);
  PutMember(json, "maskedPaths", linux_.masked_paths);
  PutMember(json, "readonlyPaths", linux_.readonly_paths);
  PutMember(json, "mountLabel", linux_.mount_label);
  if (linux_.intel_rdt) json["intelRdt"] = Print(*linux_.intel_rdt);
  if (linux_.memory_policy) json["memoryPolicy"] = Print(*linux_.memory_policy);
  if (linux_.personality) json["personality"] = Print(*linux_.personality);
  return json;
}

}  // namespace coracle::oci
