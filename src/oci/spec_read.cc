#include "spec_read.h"

namespace coracle::oci {

void Read(JsonReader& reader, Spec& spec) {
  reader.Required("ociVersion", spec.oci_version);
  reader.Optional("root", spec.root);
  reader.Optional("mounts", spec.mounts);
  reader.Optional("process", spec.process);
  reader.Optional("hostname", spec.hostname);
  reader.Optional("domainname", spec.domainname);
  reader.Optional("hooks", spec.hooks);
  reader.Optional("annotations", spec.annotations);
  reader.Optional("linux", spec.linux_);
}

void Read(JsonReader& reader, Root& root) {
  reader.Required("path", root.path);
  reader.Optional("readonly", root.readonly);
}

void Read(JsonReader& reader, Mount& mount) {
  reader.Required("destination", mount.destination);
  reader.Optional("type", mount.type);
  reader.Optional("source", mount.source);
  reader.Optional("options", mount.options);
  reader.Optional("uidMappings", mount.uid_mappings);
  reader.Optional("gidMappings", mount.gid_mappings);
}

void Read(JsonReader& reader, IdMapping& mapping) {
  reader.Required("containerID", mapping.container_id);
  reader.Required("hostID", mapping.host_id);
  reader.Required("size", mapping.size);
}

void Read(JsonReader& reader, Process& process) {
  reader.Optional("terminal", process.terminal);
  reader.Optional("consoleSize", process.console_size);
  reader.Optional("user", process.user);
  reader.Optional("args", process.args);
  reader.Optional("env", process.env);
  reader.Required("cwd", process.cwd);
  reader.Optional("capabilities", process.capabilities);
  reader.Optional("rlimits", process.rlimits);
  reader.Optional("noNewPrivileges", process.no_new_privileges);
  reader.Optional("apparmorProfile", process.apparmor_profile);
  reader.Optional("selinuxLabel", process.selinux_label);
  reader.Optional("oomScoreAdj", process.oom_score_adj);
  reader.Optional("scheduler", process.scheduler);
  reader.Optional("ioPriority", process.io_priority);
  reader.Optional("execCPUAffinity", process.exec_cpu_affinity);
}

void Read(JsonReader& reader, ConsoleSize& size) {
  reader.Required("height", size.height);
  reader.Required("width", size.width);
}

void Read(JsonReader& reader, User& user) {
  reader.Optional("uid", user.uid);
  reader.Optional("gid", user.gid);
  reader.Optional("umask", user.umask);
  reader.Optional("additionalGids", user.additional_gids);
}

void Read(JsonReader& reader, Rlimit& rlimit) {
  reader.Required("type", rlimit.type);
  reader.Required("soft", rlimit.soft);
  reader.Required("hard", rlimit.hard);
}

void Read(JsonReader& reader, Capabilities& capabilities) {
  reader.Optional("bounding", capabilities.bounding);
  reader.Optional("effective", capabilities.effective);
  reader.Optional("inheritable", capabilities.inheritable);
  reader.Optional("permitted", capabilities.permitted);
  reader.Optional("ambient", capabilities.ambient);
}

void Read(JsonReader& reader, Scheduler& scheduler) {
  reader.Required("policy", scheduler.policy);
  reader.Optional("nice", scheduler.nice);
  reader.Optional("priority", scheduler.priority);
  reader.Optional("flags", scheduler.flags);
  reader.Optional("runtime", scheduler.runtime_ns);
  reader.Optional("deadline", scheduler.deadline_ns);
  reader.Optional("period", scheduler.period_ns);
}

void Read(JsonReader& reader, IoPriority& priority) {
  reader.Required("class", priority.io_class);
  reader.Optional("priority", priority.priority);
}

void Read(JsonReader& reader, ExecCpuAffinity& affinity) {
  reader.Optional("initial", affinity.initial);
  reader.Optional("final", affinity.final_);
}

void Read(JsonReader& reader, Hook& hook) {
  reader.Required("path", hook.path);
  reader.Optional("args", hook.args);
  reader.Optional("env", hook.env);
  reader.Optional("timeout", hook.timeout_s);
}

void Read(JsonReader& reader, Hooks& hooks) {
  reader.Optional("prestart", hooks.prestart);
  reader.Optional("createRuntime", hooks.create_runtime);
  reader.Optional("createContainer", hooks.create_container);
  reader.Optional("startContainer", hooks.start_container);
  reader.Optional("poststart", hooks.poststart);
  reader.Optional("poststop", hooks.poststop);
}

}  // namespace coracle::oci
