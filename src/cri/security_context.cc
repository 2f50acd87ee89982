#include "security_context.h"

#include <algorithm>

#include "coracle/base/json.h"

namespace coracle::cri {
namespace {

// containerd's default set.
constexpr const char* kDefaultCapabilities[] = {
    "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FSETID",     "CAP_FOWNER",      "CAP_MKNOD",
    "CAP_NET_RAW", "CAP_SETGID",           "CAP_SETUID",     "CAP_SETFCAP",     "CAP_SETPCAP",
    "CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_AUDIT_WRITE",
};

// What says something about the host, or reaches into it. Paths that do not exist are passed over.
constexpr const char* kMasked[] = {
    "/proc/acpi",       "/proc/asound",        "/proc/interrupts",  "/proc/kcore",
    "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/timer_list", "/proc/timer_stats",   "/sys/firmware",     "/sys/devices/virtual/powercap",
};
constexpr const char* kReadonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                     "/proc/sysrq-trigger"};

Error BadField(const std::string& field, const std::string& text) {
  return {Code::kInvalidConfig, 0, std::string(kSecurityContext) + field + ": " + text};
}

struct CapabilityChange {
  bool all = false;
  sys::CapabilityMask mask = 0;
};

Result<CapabilityChange> ReadNames(const google::protobuf::RepeatedPtrField<std::string>& names,
                                   const std::string& field) {
  CapabilityChange change;
  for (int i = 0; i < names.size(); ++i) {
    std::string name = names[i];
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
    if (name == "ALL") {
      change.all = true;
      continue;
    }
    if (!name.starts_with("CAP_")) name = "CAP_" + name;
    const auto number = sys::CapabilityNumber(name);
    if (!number) {
      return BadField("/capabilities/" + field + "/" + std::to_string(i),
                      "\"" + names[i] + "\" is no capability; see capabilities(7), or \"ALL\"");
    }
    change.mask |= sys::CapabilityMask{1} << *number;
  }
  return change;
}

std::vector<std::string> Names(sys::CapabilityMask mask) {
  std::vector<std::string> names;
  for (int number = 0; number <= sys::LastCapability(); ++number) {
    if (mask >> number & 1) names.emplace_back(sys::CapabilityName(number));
  }
  return names;
}

oci::Capabilities Sets(sys::CapabilityMask mask, sys::CapabilityMask ambient) {
  oci::Capabilities sets;
  sets.bounding = sets.effective = sets.permitted = Names(mask);
  // Inheritable stays empty but for what must be there to be ambient (CVE-2022-24769).
  sets.inheritable = sets.ambient = Names(ambient);
  return sets;
}

Result<std::string> LocalhostPath(const std::string& path, const std::string& field) {
  if (path.starts_with('/')) return path;
  return BadField(field, "\"" + path + "\": expected the absolute path of a profile");
}

}  // namespace

Result<oci::Capabilities> MakeCapabilities(const v1::LinuxContainerSecurityContext& context,
                                           const HostFacts& host) {
  const auto add = TRY(ReadNames(context.capabilities().add_capabilities(), "add_capabilities"));
  const auto drop = TRY(ReadNames(context.capabilities().drop_capabilities(), "drop_capabilities"));
  const auto ambient =
      TRY(ReadNames(context.capabilities().add_ambient_capabilities(), "add_ambient_capabilities"));
  if (context.privileged()) return Sets(host.capabilities, ambient.mask & host.capabilities);
  const sys::CapabilityMask wanted = (add.mask & ~drop.mask) | ambient.mask;
  if (const sys::CapabilityMask missing = wanted & ~host.capabilities; missing != 0) {
    return Error{Code::kUnsupported, 0,
                 std::string(kSecurityContext) + "/capabilities: " + Names(missing).front() +
                     ": the daemon does not hold it, so no container can"};
  }
  sys::CapabilityMask mask = 0;
  for (const char* name : kDefaultCapabilities) {
    mask |= sys::CapabilityMask{1} << sys::CapabilityNumber(name).value_or(0);
  }
  if (add.all) mask = ~sys::CapabilityMask{0};
  if (drop.all) mask = 0;
  mask = ((mask | add.mask) & ~drop.mask) | ambient.mask;
  const sys::CapabilityMask raised = ambient.all ? mask : ambient.mask;
  return Sets(mask & host.capabilities, raised & host.capabilities);
}

Result<SeccompChoice> ChooseSeccomp(const v1::LinuxContainerSecurityContext& context) {
  using Kind = SeccompChoice::Kind;
  if (context.privileged()) return SeccompChoice{Kind::kUnconfined, ""};
  if (context.has_seccomp()) {
    const auto& profile = context.seccomp();
    switch (profile.profile_type()) {
      case v1::SecurityProfile::RuntimeDefault:
        return SeccompChoice{Kind::kRuntimeDefault, ""};
      case v1::SecurityProfile::Unconfined:
        return SeccompChoice{Kind::kUnconfined, ""};
      case v1::SecurityProfile::Localhost:
        return SeccompChoice{Kind::kLocalhost,
                             TRY(LocalhostPath(profile.localhost_ref(), "/seccomp/localhost_ref"))};
      default:
        return BadField("/seccomp/profile_type",
                        "expected RuntimeDefault, Unconfined or Localhost");
    }
  }
  const std::string& old = context.seccomp_profile_path();
  if (old.empty() || old == "unconfined") return SeccompChoice{Kind::kUnconfined, ""};
  if (old == "runtime/default" || old == "docker/default") {
    return SeccompChoice{Kind::kRuntimeDefault, ""};
  }
  constexpr std::string_view kLocalhost = "localhost/";
  if (old.starts_with(kLocalhost)) {
    return SeccompChoice{Kind::kLocalhost, TRY(LocalhostPath(old.substr(kLocalhost.size()),
                                                             "/seccomp_profile_path"))};
  }
  return BadField("/seccomp_profile_path",
                  "\"" + old + "\": expected unconfined, runtime/default or localhost/<path>");
}

Result<oci::Seccomp> ParseSeccompProfile(const std::string& text, const std::string& what) {
  const Json profile = TRY(ParseJson(text, what));
  // The parser of config.json knows the form: hand it a config.json with nothing else in it.
  const Json config = {
      {"ociVersion", "1.2.0"}, {"root", {{"path", "rootfs"}}}, {"linux", {{"seccomp", profile}}}};
  oci::Spec spec = TRY(oci::ParseSpec(PrintJson(config), what));
  if (!spec.linux_.seccomp) {
    return Error{Code::kInvalidConfig, 0, what + ": expected a seccomp profile, got none"};
  }
  return *std::move(spec.linux_.seccomp);
}

Result<std::string> ChooseAppArmor(const v1::LinuxContainerSecurityContext& context,
                                   const HostFacts& host) {
  if (context.privileged()) return std::string();
  std::string name;  // empty: not said
  if (context.has_apparmor()) {
    const auto& profile = context.apparmor();
    if (profile.profile_type() == v1::SecurityProfile::Unconfined) return std::string();
    name = profile.profile_type() == v1::SecurityProfile::Localhost ? profile.localhost_ref()
                                                                    : "runtime/default";
    if (name.empty()) return BadField("/apparmor/localhost_ref", "expected the name of a profile");
  } else {
    name = context.apparmor_profile();
    constexpr std::string_view kLocalhost = "localhost/";
    if (name == "unconfined") return std::string();
    if (name.starts_with(kLocalhost)) {
      name = name.substr(kLocalhost.size());
      if (name.empty()) return BadField("/apparmor_profile", "expected localhost/<profile>");
    } else if (!name.empty() && name != "runtime/default") {
      return BadField("/apparmor_profile",
                      "expected unconfined, runtime/default or localhost/<profile>");
    }
  }
  if (!host.apparmor) {
    if (name.empty() || name == "runtime/default") return std::string();
    return BadField("/apparmor", "this host has no AppArmor");
  }
  if (name.empty()) return std::string(host.apparmor_default_loaded ? kAppArmorDefault : "");
  if (name != "runtime/default") return name;
  if (host.apparmor_default_loaded) return std::string(kAppArmorDefault);
  return Error{Code::kUnsupported, 0,
               std::string(kSecurityContext) + "/apparmor: profile " + kAppArmorDefault +
                   " is not loaded on this host"};
}

std::vector<std::string> MaskedPaths(const v1::LinuxContainerSecurityContext& context) {
  if (context.privileged()) return {};
  if (!context.masked_paths().empty()) {
    return {context.masked_paths().begin(), context.masked_paths().end()};
  }
  return {std::begin(kMasked), std::end(kMasked)};
}

std::vector<std::string> ReadonlyPaths(const v1::LinuxContainerSecurityContext& context) {
  if (context.privileged()) return {};
  if (!context.readonly_paths().empty()) {
    return {context.readonly_paths().begin(), context.readonly_paths().end()};
  }
  return {std::begin(kReadonly), std::end(kReadonly)};
}

}  // namespace coracle::cri
