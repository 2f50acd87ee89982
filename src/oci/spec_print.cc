// ToJson: members in the order of the specification, absent ones left out.
#include "spec_print.h"

namespace coracle::oci {
namespace {

Json Print(const IdMapping& mapping) {
  return {
      {"containerID", mapping.container_id}, {"hostID", mapping.host_id}, {"size", mapping.size}};
}

Json Print(const Root& root) {
  Json json = {{"path", root.path}};
  PutMember(json, "readonly", root.readonly);
  return json;
}

Json Print(const Mount& mount) {
  Json json = {{"destination", mount.destination}};
  PutMember(json, "type", mount.type);
  PutMember(json, "source", mount.source);
  PutMember(json, "options", mount.options);
  PutList(json, "uidMappings", mount.uid_mappings, PrintIdMapping);
  PutList(json, "gidMappings", mount.gid_mappings, PrintIdMapping);
  return json;
}

Json Print(const User& user) {
  Json json = {{"uid", user.uid}, {"gid", user.gid}};
  PutMember(json, "umask", user.umask);
  PutMember(json, "additionalGids", user.additional_gids);
  return json;
}

Json Print(const Capabilities& capabilities) {
  Json json = Json::object();
  PutMember(json, "bounding", capabilities.bounding);
  PutMember(json, "effective", capabilities.effective);
  PutMember(json, "inheritable", capabilities.inheritable);
  PutMember(json, "permitted", capabilities.permitted);
  PutMember(json, "ambient", capabilities.ambient);
  return json;
}

Json Print(const Rlimit& rlimit) {
  return {{"type", rlimit.type}, {"soft", rlimit.soft}, {"hard", rlimit.hard}};
}

Json Print(const Scheduler& scheduler) {
  Json json = {{"policy", scheduler.policy}};
  PutMember(json, "nice", scheduler.nice);
  PutMember(json, "priority", scheduler.priority);
  PutMember(json, "flags", scheduler.flags);
  PutMember(json, "runtime", scheduler.runtime_ns);
  PutMember(json, "deadline", scheduler.deadline_ns);
  PutMember(json, "period", scheduler.period_ns);
  return json;
}

Json Print(const ExecCpuAffinity& affinity) {
  Json json = Json::object();
  PutMember(json, "initial", affinity.initial);
  PutMember(json, "final", affinity.final_);
  return json;
}

Json Print(const Hook& hook) {
  Json json = {{"path", hook.path}};
  PutMember(json, "args", hook.args);
  PutMember(json, "env", hook.env);
  PutMember(json, "timeout", hook.timeout_s);
  return json;
}

Json Print(const Hooks& hooks) {
  const auto print = [](const Hook& hook) { return Print(hook); };
  Json json = Json::object();
  PutList(json, "prestart", hooks.prestart, print);
  PutList(json, "createRuntime", hooks.create_runtime, print);
  PutList(json, "createContainer", hooks.create_container, print);
  PutList(json, "startContainer", hooks.start_container, print);
  PutList(json, "poststart", hooks.poststart, print);
  PutList(json, "poststop", hooks.poststop, print);
  return json;
}

}  // namespace

Json PrintIdMapping(const IdMapping& mapping) { return Print(mapping); }

Json ToJson(const Process& process) {
  Json json = Json::object();
  PutMember(json, "terminal", process.terminal);
  if (process.console_size) {
    json["consoleSize"] = {{"height", process.console_size->height},
                           {"width", process.console_size->width}};
  }
  json["user"] = Print(process.user);
  PutMember(json, "args", process.args);
  PutMember(json, "env", process.env);
  json["cwd"] = process.cwd;
  if (process.capabilities) json["capabilities"] = Print(*process.capabilities);
  PutList(json, "rlimits", process.rlimits, [](const Rlimit& rlimit) { return Print(rlimit); });
  PutMember(json, "noNewPrivileges", process.no_new_privileges);
  PutMember(json, "apparmorProfile", process.apparmor_profile);
  PutMember(json, "selinuxLabel", process.selinux_label);
  PutMember(json, "oomScoreAdj", process.oom_score_adj);
  if (process.scheduler) json["scheduler"] = Print(*process.scheduler);
  if (process.io_priority) {
    json["ioPriority"] = {{"class", process.io_priority->io_class},
                          {"priority", process.io_priority->priority}};
  }
  if (process.exec_cpu_affinity) json["execCPUAffinity"] = Print(*process.exec_cpu_affinity);
  return json;
}

Json ToJson(const Spec& spec) {
  Json json = {{"ociVersion", spec.oci_version}};
  if (spec.process) json["process"] = ToJson(*spec.process);
  if (spec.root) json["root"] = Print(*spec.root);
  PutMember(json, "hostname", spec.hostname);
  PutMember(json, "domainname", spec.domainname);
  PutList(json, "mounts", spec.mounts, [](const Mount& mount) { return Print(mount); });
  PutObject(json, "hooks", Print(spec.hooks));
  PutMember(json, "annotations", spec.annotations);
  PutObject(json, "linux", PrintLinux(spec.linux_));
  return json;
}

}  // namespace coracle::oci
