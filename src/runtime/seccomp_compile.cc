#include "seccomp_compile.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <map>
#include <memory>
#include <string_view>

#include "coracle/base/file.h"
#include "coracle/base/unique_fd.h"
#include "seccomp_prologue.h"

namespace coracle::runtime {
namespace {

struct Named {
  std::string_view name;
  std::uint32_t value;
};
constexpr std::array<Named, 9> kActions = {{
    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
}};
constexpr std::array<Named, 23> kArchitectures = {{
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
    {"SCMP_ARCH_LOONGARCH64", 0},
    {"SCMP_ARCH_M68K", 0},
    {"SCMP_ARCH_SH", 0},
    {"SCMP_ARCH_SHEB", 0},
}};
constexpr std::array<Named, 7> kOperators = {{
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
}};

template <std::size_t kSize>
std::optional<std::uint32_t> Find(const std::array<Named, kSize>& table, std::string_view name) {
  const auto row = std::ranges::find(table, name, &Named::name);
  if (row == table.end()) return std::nullopt;
  return row->value;
}

Error LibraryError(const std::string& call, int result) {
  return {Code::kUnsupported, -result, call + ": " + ErrnoText(-result)};
}

struct ReleaseFilter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

class Compiler {
 public:
  Compiler(const oci::Seccomp& profile, const Warn& warn)
      : profile_(profile),
        warn_(warn),
        default_action_(
            SeccompAction(profile.default_action, profile.default_errno_ret.value_or(EPERM))
                .value_or(SCMP_ACT_KILL_PROCESS)) {}

  Result<std::vector<sock_filter>> Run() {
    filter_ = Filter(::seccomp_init(default_action_));
    if (filter_ == nullptr) return LibraryError("seccomp_init(3)", -EINVAL);
    // A binary tree instead of a list: every system call pays for the length.
    const int result = ::seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (result != 0) return LibraryError("seccomp_attr_set(3) SCMP_FLTATR_CTL_OPTIMIZE", result);
    TRY(AddArchitectures());
    for (const oci::SeccompRule& rule : profile_.syscalls) TRY(AddRule(rule));
    std::vector<sock_filter> program = MakePrologue(prologue_);
    const std::vector<sock_filter> rest = TRY(Export());
    program.insert(program.end(), rest.begin(), rest.end());
    if (program.size() > BPF_MAXINSNS)
      return Error{Code::kUnsupported, E2BIG,
                   "the filter has " + std::to_string(program.size()) +
                       " instructions, the kernel "
                       "takes " +
                       std::to_string(BPF_MAXINSNS)};
    return program;
  }

 private:
  Status AddArchitectures() {
    prologue_.architectures = {{.token = ::seccomp_arch_native(), .highest = 0}};
    for (const std::string& name : profile_.architectures) {
      const std::uint32_t token = SeccompArchitecture(name).value_or(0);
      if (token == 0) continue;
      const int result = ::seccomp_arch_add(filter_.get(), token);
      // EDOM: of the other byte order, so that no program of this machine can be of it.
      if (result == -EEXIST || result == -EDOM) continue;
      if (result != 0) return LibraryError("seccomp_arch_add(3) " + name, result);
      prologue_.architectures.push_back({.token = token, .highest = 0});
    }
    // A refusal by default hides what is only newer than the profile: programs fall back to older
    // calls on ENOSYS, but take EPERM for an answer.
    prologue_.enosys_above_highest = Rank(default_action_) < Rank(SCMP_ACT_TRACE(0)) &&
                                     default_action_ != SCMP_ACT_ERRNO(ENOSYS);
    return {};
  }

  // The kernel's order: the lower, the stricter.
  static std::int32_t Rank(std::uint32_t action) {
    return static_cast<std::int32_t>(action & SECCOMP_RET_ACTION_FULL);
  }

  Status AddRule(const oci::SeccompRule& rule) {
    const std::uint32_t action =
        SeccompAction(rule.action, rule.errno_ret.value_or(EPERM)).value_or(SCMP_ACT_KILL_PROCESS);
    for (const std::string& name : rule.names) {
      const int number = ::seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR) {
        AddUnknownToLibrary(rule, action, name);
        continue;
      }
      NoteHighest(name);
      if (action == default_action_) continue;  // libseccomp refuses what says nothing
      for (const auto& conditions : Conditions(rule)) {
        const int result =
            ::seccomp_rule_add_array(filter_.get(), action, number,
                                     static_cast<unsigned>(conditions.size()), conditions.data());
        // EDOM: none of the architectures has that call.
        if (result != 0 && result != -EDOM)
          return LibraryError("seccomp_rule_add_array(3) " + rule.action + " " + name, result);
      }
    }
    return {};
  }

  // Different arguments: all conditions must hold. The same argument twice: any of them, since
  // libseccomp takes one comparison per argument, and callers have come to rely on runc's way.
  static std::vector<std::vector<scmp_arg_cmp>> Conditions(const oci::SeccompRule& rule) {
    std::vector<scmp_arg_cmp> all;
    std::array<int, 6> count{};
    bool repeated = false;
    for (const oci::SeccompArg& arg : rule.args) {
      all.push_back({.arg = arg.index,
                     .op = static_cast<scmp_compare>(SeccompOperator(arg.op).value_or(SCMP_CMP_EQ)),
                     .datum_a = arg.value,
                     .datum_b = arg.value_two});
      repeated = repeated || ++count.at(arg.index) > 1;
    }
    if (!repeated) return {all};
    std::vector<std::vector<scmp_arg_cmp>> separate;
    for (const scmp_arg_cmp& condition : all) separate.push_back({condition});
    return separate;
  }

  void NoteHighest(const std::string& name) {
    for (auto& architecture : prologue_.architectures) {
      const int number = ::seccomp_syscall_resolve_name_arch(architecture.token, name.c_str());
      if (number > 0)
        architecture.highest = std::max(architecture.highest, static_cast<unsigned>(number));
    }
  }

  // Newer than libseccomp, or not a system call at all.
  void AddUnknownToLibrary(const oci::SeccompRule& rule, std::uint32_t action,
                           const std::string& name) {
    const auto number = NewSyscallNumber(name);
    const bool stricter = Rank(action) < Rank(default_action_);
    if (!number.has_value()) {
      // What a profile forbids by name must not be let through for want of a number.
      if (stricter) prologue_.enosys_above_known = true;
      if (warn_) warn_("/linux/seccomp/syscalls: system call " + name + " is unknown, ignored");
      return;
    }
    for (auto& architecture : prologue_.architectures)
      architecture.highest =
          std::max(architecture.highest, NewSyscallOn(architecture.token, *number));
    // Argument conditions are libseccomp's; without it, be strict: never allow, always refuse.
    if (rule.args.empty() || stricter)
      prologue_.rules.try_emplace(*number, action);
    else if (warn_)
      warn_("/linux/seccomp/syscalls: conditions on " + name + " are not supported, ignored");
  }

  Result<std::vector<sock_filter>> Export() {
    const UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
    if (!file) return KernelError("memfd_create(2)");
    const int result = ::seccomp_export_bpf(filter_.get(), file.get());
    if (result != 0) return LibraryError("seccomp_export_bpf(3)", result);
    if (::lseek(file.get(), 0, SEEK_SET) != 0) return KernelError("lseek(2) of a memfd");
    const std::string bytes = TRY(ReadFd(file.get(), "seccomp program"));
    if (bytes.empty() || bytes.size() % sizeof(sock_filter) != 0)
      return Error{Code::kProtocol, 0, "seccomp_export_bpf(3) gave no whole program"};
    std::vector<sock_filter> program(bytes.size() / sizeof(sock_filter));
    std::memcpy(program.data(), bytes.data(), bytes.size());
    return program;
  }

  const oci::Seccomp& profile_;
  const Warn& warn_;
  std::uint32_t default_action_;
  Filter filter_;
  SeccompPrologue prologue_;
};

}  // namespace

std::optional<std::uint32_t> SeccompAction(const std::string& name, std::uint32_t errno_ret) {
  const auto action = Find(kActions, name);
  const bool has_errno = name == "SCMP_ACT_ERRNO" || name == "SCMP_ACT_TRACE";
  if (!action.has_value() || !has_errno) return action;
  return *action | (errno_ret & SECCOMP_RET_DATA);
}

std::optional<std::uint32_t> SeccompArchitecture(const std::string& name) {
  return Find(kArchitectures, name);
}

std::optional<int> SeccompOperator(const std::string& name) { return Find(kOperators, name); }

Result<std::vector<sock_filter>> CompileProfile(const oci::Seccomp& profile, const Warn& warn) {
  return Compiler(profile, warn).Run();
}

std::string CompilerIdentity() {
  const scmp_version* version = ::seccomp_version();
  return "1 libseccomp " + std::to_string(version->major) + "." + std::to_string(version->minor) +
         "." + std::to_string(version->micro) + " api " + std::to_string(::seccomp_api_get()) +
         " arch " + std::to_string(::seccomp_arch_native());
}

}  // namespace coracle::runtime
