#include "host_facts.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>

#include "coracle/base/file.h"
#include "coracle/runtime/cgroup.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr int kCapSysResource = 24;
constexpr const char* kAppArmorProfiles = "/sys/kernel/security/apparmor/profiles";

// A container makes or mounts these itself.
constexpr const char* kOwnOfEach[] = {"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/console"};

std::string ReadWord(const std::string& path) {
  const Result<std::string> text = ReadFile(path);
  return text.has_value() ? text->substr(0, text->find('\n')) : std::string();
}

}  // namespace

Result<HostFacts> ReadHostFacts() {
  HostFacts facts;
  const sys::CapabilitySets sets = TRY(sys::ReadCapabilities());
  facts.capabilities = sets.permitted & sets.bounding;
  facts.apparmor = ReadWord("/sys/module/apparmor/parameters/enabled") == "Y";
  if (facts.apparmor) {
    const Result<std::string> profiles = ReadFile(kAppArmorProfiles);
    facts.apparmor_default_loaded =
        profiles.has_value() &&
        ("\n" + *profiles).find("\n" + std::string(kAppArmorDefault) + " (") != std::string::npos;
  }
  if ((facts.capabilities >> kCapSysResource & 1) == 0) {
    // proc_pid_oom_score_adj(5): lowering it asks for CAP_SYS_RESOURCE.
    facts.least_oom_score_adj = std::atoi(ReadWord("/proc/self/oom_score_adj").c_str());
  }
  facts.boot_id = ReadWord("/proc/sys/kernel/random/boot_id");
  facts.cgroup_mount = TRY(runtime::CgroupMount());
  return facts;
}

Result<oci::Device> ReadDevice(const std::string& host_path) {
  struct stat st {};
  if (::stat(host_path.c_str(), &st) != 0) return KernelError("stat(2) " + host_path);
  if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) {
    return Error{Code::kInvalidConfig, 0, host_path + ": not a device"};
  }
  oci::Device device;
  device.type = S_ISCHR(st.st_mode) ? "c" : "b";
  device.path = host_path;
  device.major = major(st.st_rdev);
  device.minor = minor(st.st_rdev);
  device.file_mode = st.st_mode & 07777;
  device.uid = st.st_uid;
  device.gid = st.st_gid;
  return device;
}

Result<std::vector<oci::Device>> ReadDevices(const std::string& host_directory) {
  std::vector<oci::Device> devices;
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(host_directory, error), end;
  if (error) return KernelError("readdir(3) " + host_directory, error.value());
  for (; entry != end; entry.increment(error)) {
    const std::string path = entry->path();
    bool own = false;
    for (const char* other : kOwnOfEach) own = own || path == other;
    if (own || path.ends_with("/.udev") || path.ends_with("/ptmx")) {
      entry.disable_recursion_pending();
      continue;
    }
    if (entry->is_symlink(error)) continue;
    // Nodes may vanish while we look: what is gone is not there.
    const Result<oci::Device> device = ReadDevice(path);
    if (device.has_value()) devices.push_back(*device);
  }
  return devices;
}

}  // namespace coracle::cri
