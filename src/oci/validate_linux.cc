#include <algorithm>

#include "validate.h"

namespace coracle::oci {
namespace {

constexpr std::string_view kNamespaces[] = {"pid", "network", "mount",  "ipc",
                                            "uts", "user",    "cgroup", "time"};
constexpr std::uint32_t kNanosecondsPerSecond = 1'000'000'000;
constexpr std::size_t kMaxInterfaceName = 15;  // IFNAMSIZ - 1

const Namespace* FindNamespace(const Linux& linux_, std::string_view type) {
  const auto found = std::ranges::find(linux_.namespaces, type, &Namespace::type);
  return found == linux_.namespaces.end() ? nullptr : &*found;
}

void ValidateNamespaces(const Linux& linux_, Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#namespaces";
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < linux_.namespaces.size(); ++i) {
    const auto& [type, path] = linux_.namespaces[i];
    const auto here = At("/linux/namespaces", i);
    problems.CheckName(At(here, "type"), type, kNamespaces, kSection);
    if (!seen.insert(type).second)
      problems.Add(At(here, "type"), "\"" + type + "\" is given twice", kSection);
    if (!path.empty()) CheckAbsolute(problems, At(here, "path"), path, kSection);
  }
}

void ValidateMappings(const std::vector<IdMapping>& mappings, const std::string& pointer,
                      Problems& problems) {
  for (std::size_t i = 0; i < mappings.size(); ++i) {
    if (mappings[i].size == 0) {
      problems.Add(At(At(pointer, i), "size"), "must be greater than 0",
                   "config-linux.md#user-namespace-mappings");
    }
  }
}

void ValidateUserNamespace(const Linux& linux_, Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#user-namespace-mappings";
  ValidateMappings(linux_.uid_mappings, "/linux/uidMappings", problems);
  ValidateMappings(linux_.gid_mappings, "/linux/gidMappings", problems);
  const Namespace* user = FindNamespace(linux_, "user");
  const bool mapped = !linux_.uid_mappings.empty() || !linux_.gid_mappings.empty();
  if (user == nullptr && mapped) {
    problems.Add(linux_.uid_mappings.empty() ? "/linux/gidMappings" : "/linux/uidMappings",
                 "needs a \"user\" entry in /linux/namespaces", kSection);
  }
  if (user != nullptr && user->path.empty()) {
    if (linux_.uid_mappings.empty())
      problems.Add("/linux/uidMappings", "required with a new user namespace", kSection);
    if (linux_.gid_mappings.empty())
      problems.Add("/linux/gidMappings", "required with a new user namespace", kSection);
  }
}

void ValidateTimeOffsets(const Linux& linux_, Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#offset-for-time-namespace";
  if (linux_.time_offsets.empty()) return;
  const Namespace* time = FindNamespace(linux_, "time");
  if (time == nullptr || !time->path.empty()) {
    problems.Add("/linux/timeOffsets", "needs a \"time\" entry without path in /linux/namespaces",
                 kSection);
  }
  for (const auto& [clock, offset] : linux_.time_offsets) {
    const auto here = At("/linux/timeOffsets", clock);
    problems.CheckName(here, clock, {"monotonic", "boottime"}, kSection);
    if (offset.nanosecs >= kNanosecondsPerSecond)
      problems.Add(At(here, "nanosecs"), "must be less than 1000000000", kSection);
  }
}

void ValidateDevices(const std::vector<Device>& devices, Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#devices";
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const Device& device = devices[i];
    const auto here = At("/linux/devices", i);
    problems.CheckName(At(here, "type"), device.type, {"c", "b", "u", "p"}, kSection);
    CheckAbsolute(problems, At(here, "path"), device.path, kSection);
    if (device.type != "p" && !device.major)
      problems.Add(At(here, "major"), "required unless the type is \"p\"", kSection);
    if (device.type != "p" && !device.minor)
      problems.Add(At(here, "minor"), "required unless the type is \"p\"", kSection);
    if (device.major.value_or(0) < 0)
      problems.Add(At(here, "major"), "must not be negative", kSection);
    if (device.minor.value_or(0) < 0)
      problems.Add(At(here, "minor"), "must not be negative", kSection);
  }
}

bool IsInterfaceName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxInterfaceName && name != "." && name != ".." &&
         name.find_first_of("/ :%\t\n\v\f\r") == std::string::npos;
}

// "eth%d": the kernel chooses the number.
bool IsInterfaceTemplate(const std::string& name) {
  return name.ends_with("%d") && name.size() <= kMaxInterfaceName &&
         IsInterfaceName(name.substr(0, name.size() - 2));
}

void ValidateNetDevices(const Linux& linux_, Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#network-devices";
  if (!linux_.net_devices.empty() && FindNamespace(linux_, "network") == nullptr) {
    problems.Add("/linux/netDevices", "needs a \"network\" entry in /linux/namespaces", kSection);
  }
  for (const auto& [host_name, device] : linux_.net_devices) {
    const auto here = At("/linux/netDevices", host_name);
    if (!IsInterfaceName(host_name))
      problems.Add(here, "not the name of a network interface", kSection);
    if (!device.name.empty() && !IsInterfaceName(device.name) && !IsInterfaceTemplate(device.name))
      problems.Add(At(here, "name"),
                   "not the name of a network interface, nor one with %d at its end", kSection);
  }
}

void ValidatePaths(const std::vector<std::string>& paths, const std::string& pointer,
                   std::string_view section, Problems& problems) {
  for (std::size_t i = 0; i < paths.size(); ++i)
    CheckAbsolute(problems, At(pointer, i), paths[i], section);
}

void ValidatePersonality(const Personality& personality, Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#personality";
  problems.CheckName("/linux/personality/domain", personality.domain, {"LINUX", "LINUX32"},
                     kSection);
  if (!personality.flags.empty())
    problems.Add("/linux/personality/flags", "no flag is supported", kSection);
}

void ValidateMemoryPolicy(const MemoryPolicy& policy, Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#memory-policy";
  problems.CheckName("/linux/memoryPolicy/mode", policy.mode,
                     {"MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
                      "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL"},
                     kSection);
  for (std::size_t i = 0; i < policy.flags.size(); ++i) {
    problems.CheckName(At("/linux/memoryPolicy/flags", i), policy.flags[i],
                       {"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"},
                       kSection);
  }
}

void ValidateIntelRdt(const IntelRdt& rdt, Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#intelrdt";
  const std::string here = "/linux/intelRdt";
  const std::string& id = rdt.clos_id;
  if (id != "/" && (id == "." || id == ".." || id.find_first_of("/\n") != std::string::npos))
    problems.Add(At(here, "closID"), "must be \"/\" or a name without \"/\"", kSection);
  if (!rdt.mem_bw_schema.empty() &&
      (!rdt.mem_bw_schema.starts_with("MB:") || rdt.mem_bw_schema.find('\n') != std::string::npos))
    problems.Add(At(here, "memBwSchema"), "must be one line that starts with \"MB:\"", kSection);
  for (std::size_t i = 0; i < rdt.schemata.size(); ++i)
    if (rdt.schemata[i].find('\n') != std::string::npos)
      problems.Add(At(At(here, "schemata"), i), "must be one line", kSection);
}

}  // namespace

bool HasNamespace(const Linux& linux_, std::string_view type) {
  return FindNamespace(linux_, type) != nullptr;
}

void ValidateLinux(const Linux& linux_, Problems& problems) {
  ValidateNamespaces(linux_, problems);
  ValidateUserNamespace(linux_, problems);
  ValidateTimeOffsets(linux_, problems);
  ValidateDevices(linux_.devices, problems);
  ValidateNetDevices(linux_, problems);
  ValidateResources(linux_.resources, "/linux/resources", problems);
  if (!linux_.rootfs_propagation.empty()) {
    problems.CheckName("/linux/rootfsPropagation", linux_.rootfs_propagation,
                       {"shared", "slave", "private", "unbindable", "rshared", "rslave", "rprivate",
                        "runbindable"},
                       "config-linux.md#rootfs-mount-propagation");
  }
  if (linux_.seccomp) ValidateSeccomp(*linux_.seccomp, problems);
  ValidatePaths(linux_.masked_paths, "/linux/maskedPaths", "config-linux.md#masked-paths",
                problems);
  ValidatePaths(linux_.readonly_paths, "/linux/readonlyPaths", "config-linux.md#readonly-paths",
                problems);
  if (linux_.intel_rdt) ValidateIntelRdt(*linux_.intel_rdt, problems);
  if (linux_.memory_policy) ValidateMemoryPolicy(*linux_.memory_policy, problems);
  if (linux_.personality) ValidatePersonality(*linux_.personality, problems);
}

}  // namespace coracle::oci
