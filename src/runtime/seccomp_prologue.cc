#include "seccomp_prologue.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <array>
#include <cstddef>

namespace coracle::runtime {
namespace {

// What libseccomp 2.5 does not know, in the order of the kernel's table from 451 on.
constexpr unsigned kFirstNew = 451;
constexpr std::array<std::string_view, 19> kNewSyscalls = {
    "cachestat",         "fchmodat2",         "map_shadow_stack", "futex_wake",
    "futex_wait",        "futex_requeue",     "statmount",        "listmount",
    "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal",
    "setxattrat",        "getxattrat",        "listxattrat",      "removexattrat",
    "open_tree_attr",    "file_getattr",      "file_setattr"};
constexpr unsigned kLastNew = kFirstNew + kNewSyscalls.size() - 1;

constexpr std::uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;
constexpr unsigned kX32Bit = 0x40000000;

// x32 is x86_64 with a bit in the number.
std::uint32_t AuditArchitecture(std::uint32_t token) {
  return token == SCMP_ARCH_X32 ? AUDIT_ARCH_X86_64 : token;
}

sock_filter Jump(unsigned kind, unsigned value, std::size_t if_true, std::size_t if_false) {
  return {static_cast<std::uint16_t>(BPF_JMP | kind | BPF_K), static_cast<std::uint8_t>(if_true),
          static_cast<std::uint8_t>(if_false), value};
}
sock_filter Return(std::uint32_t action) { return {BPF_RET | BPF_K, 0, 0, action}; }
sock_filter Load(std::size_t offset) {
  return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
}

// Everything for one architecture; the accumulator holds the number of the system call.
std::vector<sock_filter> ForArchitecture(const SeccompPrologue& prologue,
                                         const SeccompPrologue::Architecture& architecture) {
  std::vector<sock_filter> code;
  for (const auto& [number, action] : prologue.rules) {
    code.push_back(Jump(BPF_JEQ, NewSyscallOn(architecture.token, number), 0, 1));
    code.push_back(Return(action));
  }
  if (!prologue.enosys_above_highest && !prologue.enosys_above_known) return code;
  const unsigned limit = prologue.enosys_above_highest ? architecture.highest
                                                       : NewSyscallOn(architecture.token, kLastNew);
  code.push_back(Jump(BPF_JGT, limit, 0, 1));
  code.push_back(Return(kEnosys));
  // Numbers with the x32 bit are above every number of x86_64, and not its business.
  if (architecture.token == SCMP_ARCH_X86_64)
    code.insert(code.end() - 2, Jump(BPF_JGE, kX32Bit, 2, 0));
  if (architecture.token == SCMP_ARCH_X32)
    code.insert(code.end() - 2, Jump(BPF_JGE, kX32Bit, 0, 2));
  return code;
}

}  // namespace

std::optional<unsigned> NewSyscallNumber(std::string_view name) {
  const auto found = std::ranges::find(kNewSyscalls, name);
  if (found == kNewSyscalls.end()) return std::nullopt;
  return kFirstNew + static_cast<unsigned>(found - kNewSyscalls.begin());
}

unsigned NewSyscallOn(std::uint32_t architecture, unsigned number) {
  switch (architecture) {
    case SCMP_ARCH_X32:
      return number | kX32Bit;
    case SCMP_ARCH_MIPS:
    case SCMP_ARCH_MIPSEL:
      return number + 4000;
    case SCMP_ARCH_MIPS64:
    case SCMP_ARCH_MIPSEL64:
      return number + 5000;
    case SCMP_ARCH_MIPS64N32:
    case SCMP_ARCH_MIPSEL64N32:
      return number + 6000;
    default:
      return number;
  }
}

std::vector<sock_filter> MakePrologue(const SeccompPrologue& prologue) {
  std::vector<sock_filter> program;
  for (const auto& architecture : prologue.architectures) {
    const std::vector<sock_filter> code = ForArchitecture(prologue, architecture);
    if (code.empty()) continue;
    program.push_back(Load(offsetof(seccomp_data, arch)));
    program.push_back(Jump(BPF_JEQ, AuditArchitecture(architecture.token), 0, code.size() + 1));
    program.push_back(Load(offsetof(seccomp_data, nr)));
    program.insert(program.end(), code.begin(), code.end());
  }
  return program;
}

}  // namespace coracle::runtime
