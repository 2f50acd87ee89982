#include "coracle/sys/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "coracle/base/file.h"

namespace coracle::sys {
namespace {

constexpr std::array<std::string_view, 41> kNames = {"CAP_CHOWN",
                                                     "CAP_DAC_OVERRIDE",
                                                     "CAP_DAC_READ_SEARCH",
                                                     "CAP_FOWNER",
                                                     "CAP_FSETID",
                                                     "CAP_KILL",
                                                     "CAP_SETGID",
                                                     "CAP_SETUID",
                                                     "CAP_SETPCAP",
                                                     "CAP_LINUX_IMMUTABLE",
                                                     "CAP_NET_BIND_SERVICE",
                                                     "CAP_NET_BROADCAST",
                                                     "CAP_NET_ADMIN",
                                                     "CAP_NET_RAW",
                                                     "CAP_IPC_LOCK",
                                                     "CAP_IPC_OWNER",
                                                     "CAP_SYS_MODULE",
                                                     "CAP_SYS_RAWIO",
                                                     "CAP_SYS_CHROOT",
                                                     "CAP_SYS_PTRACE",
                                                     "CAP_SYS_PACCT",
                                                     "CAP_SYS_ADMIN",
                                                     "CAP_SYS_BOOT",
                                                     "CAP_SYS_NICE",
                                                     "CAP_SYS_RESOURCE",
                                                     "CAP_SYS_TIME",
                                                     "CAP_SYS_TTY_CONFIG",
                                                     "CAP_MKNOD",
                                                     "CAP_LEASE",
                                                     "CAP_AUDIT_WRITE",
                                                     "CAP_AUDIT_CONTROL",
                                                     "CAP_SETFCAP",
                                                     "CAP_MAC_OVERRIDE",
                                                     "CAP_MAC_ADMIN",
                                                     "CAP_SYSLOG",
                                                     "CAP_WAKE_ALARM",
                                                     "CAP_BLOCK_SUSPEND",
                                                     "CAP_AUDIT_READ",
                                                     "CAP_PERFMON",
                                                     "CAP_BPF",
                                                     "CAP_CHECKPOINT_RESTORE"};

int ReadLastCapability() {
  int last = static_cast<int>(kNames.size()) - 1;
  if (const auto text = ReadFile("/proc/sys/kernel/cap_last_cap"); text.has_value())
    std::from_chars(text->data(), text->data() + text->size(), last);
  return last;
}

struct RawSets {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
};

CapabilityMask Join(std::uint32_t low, std::uint32_t high) {
  return low | static_cast<CapabilityMask>(high) << 32U;
}

bool Has(CapabilityMask mask, int number) {
  return (mask >> static_cast<unsigned>(number) & 1U) != 0;
}

}  // namespace

std::optional<int> CapabilityNumber(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<int>(i);
  return std::nullopt;
}

std::string_view CapabilityName(int number) {
  if (number < 0 || static_cast<std::size_t>(number) >= kNames.size()) return "";
  return kNames[static_cast<std::size_t>(number)];
}

int LastCapability() {
  static const int last = ReadLastCapability();
  return last;
}

Result<CapabilitySets> capget() {
  RawSets raw;
  if (::syscall(SYS_capget, &raw.header, raw.data.data()) != 0) return KernelError("capget(2)");
  CapabilitySets sets;
  sets.effective = Join(raw.data[0].effective, raw.data[1].effective);
  sets.permitted = Join(raw.data[0].permitted, raw.data[1].permitted);
  sets.inheritable = Join(raw.data[0].inheritable, raw.data[1].inheritable);
  return sets;
}

CapabilityMask ReadBounding(CapabilityMask asked) {
  CapabilityMask bounding = 0;
  for (int number = 0; number <= LastCapability(); ++number) {
    if (Has(asked, number) && ::prctl(PR_CAPBSET_READ, number) == 1)
      bounding |= CapabilityMask{1} << static_cast<unsigned>(number);
  }
  return bounding;
}

Result<CapabilitySets> ReadCapabilities() {
  CapabilitySets sets = TRY(capget());
  sets.bounding = ReadBounding(~CapabilityMask{0});
  for (int number = 0; number <= LastCapability(); ++number) {
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, number, 0, 0) == 1)
      sets.ambient |= CapabilityMask{1} << static_cast<unsigned>(number);
  }
  return sets;
}

Status DropBounding(CapabilityMask keep) {
  for (int number = 0; number <= LastCapability(); ++number) {
    if (Has(keep, number) || ::prctl(PR_CAPBSET_DROP, number) == 0) continue;
    // Without CAP_SETPCAP a capability that is not there any more needs no dropping.
    const int errnum = errno;
    if (errnum == EPERM && ::prctl(PR_CAPBSET_READ, number) == 0) continue;
    return KernelError("prctl(2) PR_CAPBSET_DROP " + std::string(CapabilityName(number)), errnum);
  }
  return {};
}

Status capset(const CapabilitySets& sets) {
  RawSets raw;
  for (unsigned word = 0; word < raw.data.size(); ++word) {
    raw.data[word].effective = static_cast<std::uint32_t>(sets.effective >> (32 * word));
    raw.data[word].permitted = static_cast<std::uint32_t>(sets.permitted >> (32 * word));
    raw.data[word].inheritable = static_cast<std::uint32_t>(sets.inheritable >> (32 * word));
  }
  if (::syscall(SYS_capset, &raw.header, raw.data.data()) == 0) return {};
  return KernelError("capset(2)");
}

Status RaiseAmbient(CapabilityMask ambient) {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return KernelError("prctl(2) PR_CAP_AMBIENT_CLEAR_ALL");
  for (int number = 0; number <= LastCapability(); ++number) {
    if (Has(ambient, number) && ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0)
      return KernelError("prctl(2) PR_CAP_AMBIENT_RAISE " + std::string(CapabilityName(number)));
  }
  return {};
}

}  // namespace coracle::sys
