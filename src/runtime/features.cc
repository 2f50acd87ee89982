// features.md: what this program can do on this host.
#include <array>

#include "coracle/base/json.h"
#include "coracle/runtime/container.h"
#include "coracle/sys/capabilities.h"
#include "memory_policy.h"
#include "mount_options.h"
#include "seccomp_compile.h"
#include "systemd_manager.h"

namespace coracle::runtime {
namespace {

constexpr std::array kHooks = {"prestart",       "createRuntime", "createContainer",
                               "startContainer", "poststart",     "poststop"};
constexpr std::array kNamespaces = {"cgroup", "ipc",  "mount", "network",
                                    "pid",    "time", "user",  "uts"};
constexpr std::array kActions = {"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
                                 "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                                 "SCMP_ACT_NOTIFY",       "SCMP_ACT_TRACE",       "SCMP_ACT_TRAP"};
constexpr std::array kOperators = {"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT",
                                   "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
                                   "SCMP_CMP_NE"};
constexpr std::array kFlags = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                               "SECCOMP_FILTER_FLAG_TSYNC",
                               "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
constexpr std::array kArchitectures = {
    "SCMP_ARCH_AARCH64",   "SCMP_ARCH_ARM",      "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",   "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",    "SCMP_ARCH_PARISC64", "SCMP_ARCH_PPC",      "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",   "SCMP_ARCH_RISCV64",  "SCMP_ARCH_S390",     "SCMP_ARCH_S390X",
    "SCMP_ARCH_X32",       "SCMP_ARCH_X86",      "SCMP_ARCH_X86_64"};

Json Seccomp() {
  Json architectures = Json::array();
  for (const char* name : kArchitectures)
    if (SeccompArchitecture(name).value_or(0) != 0) architectures.push_back(name);
  return {{"enabled", true},        {"actions", kActions},  {"operators", kOperators},
          {"archs", architectures}, {"knownFlags", kFlags}, {"supportedFlags", kFlags}};
}

Json Capabilities() {
  Json names = Json::array();
  for (int number = 0; number <= sys::LastCapability(); ++number) {
    const std::string_view name = sys::CapabilityName(number);
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

Json LinuxFeatures() {
  const Json enabled = {{"enabled", true}};
  const bool systemd = FindSystemdProgram().has_value();
  const Json cgroup = {
      {"v1", false}, {"v2", true}, {"systemd", systemd}, {"systemdUser", systemd}, {"rdma", true}};
  return {{"namespaces", kNamespaces},
          {"capabilities", Capabilities()},
          {"cgroup", cgroup},
          {"seccomp", Seccomp()},
          {"apparmor", enabled},
          {"selinux", enabled},
          {"intelRdt", {{"enabled", true}, {"schemata", true}, {"monitoring", true}}},
          {"memoryPolicy", {{"modes", MemoryPolicyModes()}, {"flags", MemoryPolicyFlags()}}},
          {"mountExtensions", {{"idmap", enabled}}},
          {"netDevices", enabled}};
}

}  // namespace

Json Features() {
  // The key is runc's: who asks whether there are checkpoints knows it.
  const Json annotations = {{"org.opencontainers.runc.checkpoint.enabled", "false"}};
  return {{"ociVersionMin", "1.0.0"},
          {"ociVersionMax", "1.3.0"},
          {"hooks", kHooks},
          {"mountOptions", KnownMountOptions()},
          {"linux", LinuxFeatures()},
          {"annotations", annotations},
          // Each sets any property of the container's unit; a dot at the end: all that begin so.
          {"potentiallyUnsafeConfigAnnotations", Json::array({"org.systemd.property."})}};
}

}  // namespace coracle::runtime
