#include "coracle/oci/spec.h"

#include "coracle/base/json.h"
#include "spec_read.h"
#include "validate.h"

namespace coracle::oci {
namespace {

// Reads `text` as a T and checks it with `validate`; reading and checking share one list.
template <class T, class Check>
Result<T> Parse(std::string_view text, const std::string& what, const Check& validate,
                std::vector<std::string>* ignored = nullptr) {
  const Json json = TRY(ParseJson(text, what));
  if (!json.is_object())
    return JsonProblems(what, {"/: expected object, got " + std::string(json.type_name())});
  T out;
  JsonReader::Document document;
  const JsonPlace whole;
  JsonReader reader(json, whole, document);
  Read(reader, out);
  reader.NoteIgnored();
  Problems problems(document.problems);
  validate(out, problems);
  if (ignored != nullptr) *ignored = std::move(document.ignored);
  if (!document.problems.empty()) return JsonProblems(what, document.problems);
  return out;
}

}  // namespace

Result<Spec> ParseSpec(std::string_view text, const std::string& what,
                       std::vector<std::string>* ignored) {
  return Parse<Spec>(text, what, Validate, ignored);
}

Result<Process> ParseProcess(std::string_view text, const std::string& what) {
  return Parse<Process>(text, what, [](const Process& process, Problems& problems) {
    ValidateProcess(process, "", problems);
  });
}

Result<Resources> ParseResources(std::string_view text, const std::string& what) {
  return Parse<Resources>(text, what, [](const Resources& resources, Problems& problems) {
    ValidateResources(resources, "", problems);
  });
}

Spec ExampleSpec() {
  const std::vector<std::string> capabilities = {"CAP_AUDIT_WRITE", "CAP_KILL",
                                                 "CAP_NET_BIND_SERVICE"};
  Spec spec;
  spec.oci_version = "1.3.0";
  spec.root = Root{"rootfs", true};
  spec.hostname = "coracle";
  Process& process = spec.process.emplace();
  process.terminal = true;
  process.args = {"sh"};
  process.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"};
  process.cwd = "/";
  process.capabilities = Capabilities{capabilities, capabilities, {}, capabilities, {}};
  process.rlimits = {{"RLIMIT_NOFILE", 1024, 1024}};
  process.no_new_privileges = true;
  spec.mounts = {
      {"/proc", "proc", "proc", {}, {}, {}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}, {}, {}},
      {"/dev/pts",
       "devpts",
       "devpts",
       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"},
       {},
       {}},
      {"/dev/shm",
       "tmpfs",
       "shm",
       {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"},
       {},
       {}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}, {}, {}},
      {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}, {}, {}},
      {"/sys/fs/cgroup",
       "cgroup",
       "cgroup",
       {"nosuid", "noexec", "nodev", "relatime", "ro"},
       {},
       {}}};
  Linux& linux_ = spec.linux_;
  linux_.resources.devices = {{false, "a", {}, {}, "rwm"}};
  for (const char* type : {"pid", "network", "ipc", "uts", "mount", "cgroup"})
    linux_.namespaces.push_back({type, ""});
  linux_.masked_paths = {"/proc/acpi",        "/proc/asound",        "/proc/kcore",
                         "/proc/keys",        "/proc/latency_stats", "/proc/timer_list",
                         "/proc/timer_stats", "/proc/sched_debug",   "/sys/firmware",
                         "/proc/scsi"};
  linux_.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                           "/proc/sysrq-trigger"};
  return spec;
}

}  // namespace coracle::oci
