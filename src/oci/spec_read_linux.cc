#include "spec_read.h"

namespace coracle::oci {

void Read(JsonReader& reader, Linux& linux_) {
  reader.Optional("namespaces", linux_.namespaces);
  reader.Optional("uidMappings", linux_.uid_mappings);
  reader.Optional("gidMappings", linux_.gid_mappings);
  reader.Optional("timeOffsets", linux_.time_offsets);
  reader.Optional("devices", linux_.devices);
  reader.Optional("netDevices", linux_.net_devices);
  reader.Optional("cgroupsPath", linux_.cgroups_path);
  reader.Optional("resources", linux_.resources);
  reader.Optional("rootfsPropagation", linux_.rootfs_propagation);
  reader.Optional("seccomp", linux_.seccomp);
  reader.Optional("sysctl", linux_.sysctl);
  reader.Optional("maskedPaths", linux_.masked_paths);
  reader.Optional("readonlyPaths", linux_.readonly_paths);
  reader.Optional("mountLabel", linux_.mount_label);
  reader.Optional("intelRdt", linux_.intel_rdt);
  reader.Optional("memoryPolicy", linux_.memory_policy);
  reader.Optional("personality", linux_.personality);
}

void Read(JsonReader& reader, Namespace& ns) {
  reader.Required("type", ns.type);
  reader.Optional("path", ns.path);
}

void Read(JsonReader& reader, Device& device) {
  reader.Required("type", device.type);
  reader.Required("path", device.path);
  reader.Optional("major", device.major);
  reader.Optional("minor", device.minor);
  reader.Optional("fileMode", device.file_mode);
  reader.Optional("uid", device.uid);
  reader.Optional("gid", device.gid);
}

void Read(JsonReader& reader, NetDevice& device) { reader.Optional("name", device.name); }

void Read(JsonReader& reader, TimeOffset& offset) {
  reader.Optional("secs", offset.secs);
  reader.Optional("nanosecs", offset.nanosecs);
}

void Read(JsonReader& reader, Seccomp& seccomp) {
  reader.Required("defaultAction", seccomp.default_action);
  reader.Optional("defaultErrnoRet", seccomp.default_errno_ret);
  reader.Optional("architectures", seccomp.architectures);
  reader.Optional("flags", seccomp.flags);
  reader.Optional("listenerPath", seccomp.listener_path);
  reader.Optional("listenerMetadata", seccomp.listener_metadata);
  reader.Optional("syscalls", seccomp.syscalls);
}

void Read(JsonReader& reader, SeccompRule& rule) {
  reader.Required("names", rule.names);
  reader.Required("action", rule.action);
  reader.Optional("errnoRet", rule.errno_ret);
  reader.Optional("args", rule.args);
}

void Read(JsonReader& reader, SeccompArg& arg) {
  reader.Required("index", arg.index);
  reader.Required("value", arg.value);
  reader.Optional("valueTwo", arg.value_two);
  reader.Required("op", arg.op);
}

void Read(JsonReader& reader, IntelRdt& rdt) {
  reader.Optional("closID", rdt.clos_id);
  reader.Optional("schemata", rdt.schemata);
  reader.Optional("l3CacheSchema", rdt.l3_cache_schema);
  reader.Optional("memBwSchema", rdt.mem_bw_schema);
  reader.Optional("enableMonitoring", rdt.enable_monitoring);
}

void Read(JsonReader& reader, MemoryPolicy& policy) {
  reader.Required("mode", policy.mode);
  reader.Optional("nodes", policy.nodes);
  reader.Optional("flags", policy.flags);
}

void Read(JsonReader& reader, Personality& personality) {
  reader.Required("domain", personality.domain);
  reader.Optional("flags", personality.flags);
}

}  // namespace coracle::oci
