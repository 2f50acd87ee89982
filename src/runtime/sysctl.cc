#include "sysctl.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "coracle/base/json.h"
#include "procfs.h"
#include "spec_namespaces.h"

namespace coracle::runtime {
namespace {

constexpr std::array<std::string_view, 8> kIpcSysctls = {
    "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
    "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced"};

Error BadSysctl(const std::string& name, const std::string& text) {
  return {Code::kInvalidConfig, EINVAL, "/linux/sysctl/" + EscapeJsonPointer(name) + ": " + text};
}

// sysctl(8): the first separator decides whether "." or "/" separates; the other one is then part
// of a name, as in "net.ipv4.conf.eth0/100.forwarding" for the interface eth0.100.
std::string SysctlPath(std::string name) {
  const std::size_t first = name.find_first_of("./");
  if (first == std::string::npos || name[first] == '/') return name;
  for (char& c : name) {
    if (c == '.')
      c = '/';
    else if (c == '/')
      c = '.';
  }
  return name;
}

bool HasBadComponent(const std::string& path) {
  const std::string bounded = "/" + path + "/";
  return bounded.find("//") != std::string::npos || bounded.find("/./") != std::string::npos ||
         bounded.find("/../") != std::string::npos || path.find('\0') != std::string::npos;
}

// The type of namespace that keeps the setting apart; empty: none does.
std::string_view NamespaceOf(const std::string& path) {
  if (path.starts_with("net/")) return "network";
  if (path.starts_with("fs/mqueue/")) return "ipc";
  if (std::ranges::find(kIpcSysctls, path) != kIpcSysctls.end()) return "ipc";
  if (path == "kernel/domainname") return "uts";
  return "";
}

// A namespace given by path may be the one we are in ourselves.
bool IsOurOwn(const oci::Namespace& joined) {
  if (joined.path.empty()) return false;
  const std::string file = joined.type == "network" ? "net" : joined.type;
  struct stat theirs {
  }, ours{};
  return ::stat(joined.path.c_str(), &theirs) == 0 &&
         ::stat(("/proc/self/ns/" + file).c_str(), &ours) == 0 && theirs.st_dev == ours.st_dev &&
         theirs.st_ino == ours.st_ino;
}

}  // namespace

Result<SysctlPlan> PlanSysctl(const oci::Spec& spec) {
  SysctlPlan plan;
  for (const auto& [name, value] : spec.linux_.sysctl) {
    const std::string path = SysctlPath(name);
    if (HasBadComponent(path)) return BadSysctl(name, "not the name of a sysctl");
    if (path == "kernel/hostname")
      return BadSysctl(name, "conflicts with /hostname, which is the way to set it");
    const std::string_view type = NamespaceOf(path);
    if (type.empty()) return BadSysctl(name, "is not in a separate kernel namespace");
    const oci::Namespace* found = FindNamespace(spec, type);
    if (found == nullptr || IsOurOwn(*found))
      return BadSysctl(name, "not allowed, since the container shares the host's " +
                                 std::string(type) + " namespace");
    if (value.find_first_of(std::string_view("\0\n", 2)) != std::string::npos)
      return BadSysctl(name, "the value must be one line");
    plan.values["sys/" + path] = value;
  }
  return plan;
}

Status WriteSysctls(const SysctlPlan& plan, int proc_fd) {
  for (const auto& [path, value] : plan.values) TRY(WriteProc(proc_fd, path, value));
  return {};
}

}  // namespace coracle::runtime
