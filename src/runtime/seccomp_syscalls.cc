#include "seccomp_syscalls.h"

#include <seccomp.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace coracle::runtime {
namespace {

// What libseccomp 2.5 does not know, in the order of the kernel's table from 451 on. Calls have the
// same number on every architecture since 424.
constexpr std::uint32_t kFirstNew = 451;
constexpr std::array<std::string_view, 19> kNewSyscalls = {
    "cachestat",         "fchmodat2",         "map_shadow_stack", "futex_wake",
    "futex_wait",        "futex_requeue",     "statmount",        "listmount",
    "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal",
    "setxattrat",        "getxattrat",        "listxattrat",      "removexattrat",
    "open_tree_attr",    "file_getattr",      "file_setattr"};
constexpr std::uint32_t kLastNew = kFirstNew + kNewSyscalls.size() - 1;

// libseccomp calls what i386 multiplexes -100 - n (socketcall) and -200 - n (ipc).
constexpr std::uint32_t kSocketcall = 102;
constexpr std::uint32_t kIpc = 117;
struct Direct {
  int pseudo;
  std::uint32_t number;
};
// Since Linux 4.3 and 5.1 most of them have a number of their own, too.
constexpr std::array<Direct, 27> kDirect = {{
    {-101, 359}, {-102, 361}, {-103, 362}, {-104, 363}, {-106, 367}, {-107, 368}, {-108, 360},
    {-111, 369}, {-112, 371}, {-113, 373}, {-114, 366}, {-115, 365}, {-116, 370}, {-117, 372},
    {-118, 364}, {-119, 337}, {-120, 345}, {-202, 393}, {-203, 394}, {-211, 400}, {-212, 401},
    {-213, 399}, {-214, 402}, {-221, 397}, {-222, 398}, {-223, 395}, {-224, 396},
}};

std::vector<SyscallEntry> Multiplexed(int pseudo) {
  std::vector<SyscallEntry> entries;
  const auto selector = static_cast<std::uint32_t>(-pseudo % 100);
  if (pseudo <= -100 && pseudo > -200) entries.push_back({kSocketcall, selector});
  if (pseudo <= -200 && pseudo > -300) entries.push_back({kIpc, selector});
  const auto direct = std::ranges::find(kDirect, pseudo, &Direct::pseudo);
  if (direct != kDirect.end()) entries.push_back({direct->number, {}});
  return entries;
}

std::optional<std::uint32_t> NewSyscall(std::uint32_t architecture, std::string_view name) {
  const auto found = std::ranges::find(kNewSyscalls, name);
  if (found == kNewSyscalls.end()) return std::nullopt;
  const auto number = kFirstNew + static_cast<std::uint32_t>(found - kNewSyscalls.begin());
  return architecture == SCMP_ARCH_X32 ? number | kX32Bit : number;
}

}  // namespace

bool IsKnownSyscall(const std::string& name) {
  return ::seccomp_syscall_resolve_name(name.c_str()) != __NR_SCMP_ERROR ||
         NewSyscall(0, name).has_value();
}

std::vector<SyscallEntry> SyscallEntries(std::uint32_t architecture, const std::string& name) {
  const int number = ::seccomp_syscall_resolve_name_arch(architecture, name.c_str());
  if (number >= 0) return {{static_cast<std::uint32_t>(number), {}}};
  if (number == __NR_SCMP_ERROR) {
    const auto added = NewSyscall(architecture, name);
    return added.has_value() ? std::vector<SyscallEntry>{{*added, {}}}
                             : std::vector<SyscallEntry>{};
  }
  return architecture == SCMP_ARCH_X86 ? Multiplexed(number) : std::vector<SyscallEntry>{};
}

std::uint32_t LastKnownSyscall(std::uint32_t architecture) {
  return architecture == SCMP_ARCH_X32 ? kLastNew | kX32Bit : kLastNew;
}

std::vector<std::uint32_t> RunnableArchitectures() {
  const std::uint32_t native = ::seccomp_arch_native();
  if (native == SCMP_ARCH_X86_64) return {native, SCMP_ARCH_X86, SCMP_ARCH_X32};
  if (native == SCMP_ARCH_AARCH64) return {native, SCMP_ARCH_ARM};
  return {native};
}

}  // namespace coracle::runtime
