#include "seccomp_compile.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <ranges>
#include <string_view>
#include <utility>

#include "seccomp_assemble.h"
#include "seccomp_syscalls.h"

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

constexpr std::uint32_t kEnosys = SECCOMP_RET_ERRNO | ENOSYS;
// What is of no architecture of the profile: as libseccomp has it.
constexpr std::uint32_t kForeign = SECCOMP_RET_KILL_THREAD;
constexpr std::uint32_t kSkipped = 0xffffffff;  // the number that a tracer skips a call with

// The kernel's order: the lower, the stricter.
std::int32_t Rank(std::uint32_t action) {
  return static_cast<std::int32_t>(action & SECCOMP_RET_ACTION_FULL);
}

// All tests must hold.
struct Condition {
  std::vector<ArgumentTest> tests;
  std::uint32_t action = 0;
};

// What the profile says of one number.
struct Verdict {
  std::optional<std::uint32_t> always;  // the first rule without conditions has the last word
  std::vector<Condition> conditions;
};

struct Architecture {
  std::uint32_t token = 0;
  std::uint32_t highest = 0;  // number that the profile names
  std::map<std::uint32_t, Verdict> verdicts;
};

ArgumentTest MakeTest(const oci::SeccompArg& arg, bool narrow) {
  using Kind = ArgumentTest::Kind;
  ArgumentTest test{.index = arg.index, .value = arg.value, .narrow = narrow};
  switch (SeccompOperator(arg.op).value_or(SCMP_CMP_EQ)) {
    case SCMP_CMP_NE:
      test.negated = true;
      break;
    case SCMP_CMP_LT:
      test.negated = true;
      [[fallthrough]];
    case SCMP_CMP_GE:
      test.kind = Kind::kGreaterOrEqual;
      break;
    case SCMP_CMP_LE:
      test.negated = true;
      [[fallthrough]];
    case SCMP_CMP_GT:
      test.kind = Kind::kGreater;
      break;
    case SCMP_CMP_MASKED_EQ:
      test.kind = Kind::kMaskedEqual;
      test.mask = arg.value;
      test.value = arg.value_two & arg.value;  // what the mask hides can never differ
      break;
    default:
      break;
  }
  return test;
}

// Different arguments: all conditions must hold. The same argument twice: any of them, since
// libseccomp takes one comparison per argument, and callers have come to rely on runc's way.
std::vector<std::vector<oci::SeccompArg>> Alternatives(const oci::SeccompRule& rule) {
  std::array<int, 6> count{};
  bool repeated = false;
  for (const oci::SeccompArg& arg : rule.args) repeated |= ++count.at(arg.index) > 1;
  if (!repeated) return {rule.args};
  std::vector<std::vector<oci::SeccompArg>> separate;
  for (const oci::SeccompArg& arg : rule.args) separate.push_back({arg});
  return separate;
}

class Compiler {
 public:
  Compiler(const oci::Seccomp& profile, const Warn& warn)
      : profile_(profile),
        warn_(warn),
        default_action_(
            SeccompAction(profile.default_action, profile.default_errno_ret.value_or(EPERM))
                .value_or(SCMP_ACT_KILL_PROCESS)) {}

  Result<std::vector<sock_filter>> Run() {
    AddArchitectures();
    for (const oci::SeccompRule& rule : profile_.syscalls) AddRule(rule);
    std::vector<sock_filter> program = Assemble();
    if (program.size() > BPF_MAXINSNS)
      return Error{Code::kUnsupported, E2BIG,
                   "the filter has " + std::to_string(program.size()) +
                       " instructions, the kernel takes " + std::to_string(BPF_MAXINSNS)};
    return program;
  }

 private:
  // The machine's own always; others that the profile lists, if programs of theirs can run here.
  void AddArchitectures() {
    const std::vector<std::uint32_t> runnable = RunnableArchitectures();
    for (const std::uint32_t token : runnable) {
      const auto is_listed = [token](const std::string& name) {
        return SeccompArchitecture(name) == token;
      };
      if (token == runnable.front() || std::ranges::any_of(profile_.architectures, is_listed))
        architectures_.push_back({.token = token, .verdicts = {}});
    }
  }

  void AddRule(const oci::SeccompRule& rule) {
    const std::uint32_t action =
        SeccompAction(rule.action, rule.errno_ret.value_or(EPERM)).value_or(SCMP_ACT_KILL_PROCESS);
    for (const std::string& name : rule.names) {
      if (!IsKnownSyscall(name)) {
        // What a profile forbids by name must not be let through for want of a number.
        if (Rank(action) < Rank(default_action_)) enosys_above_known_ = true;
        if (warn_) warn_("/linux/seccomp/syscalls: system call " + name + " is unknown, ignored");
        continue;
      }
      for (Architecture& architecture : architectures_)
        for (const SyscallEntry& entry : SyscallEntries(architecture.token, name)) {
          architecture.highest = std::max(architecture.highest, entry.number);
          if (action != default_action_) Add(architecture, entry, rule, action);
        }
    }
  }

  static void Add(Architecture& architecture, const SyscallEntry& entry,
                  const oci::SeccompRule& rule, std::uint32_t action) {
    Verdict& verdict = architecture.verdicts[entry.number];
    const bool narrow = architecture.token == SCMP_ARCH_X86 ||
                        architecture.token == SCMP_ARCH_X32 || architecture.token == SCMP_ARCH_ARM;
    for (const auto& args : Alternatives(rule)) {
      Condition condition{.tests = {}, .action = action};
      if (entry.selector.has_value())
        condition.tests.push_back({.index = 0, .value = *entry.selector, .narrow = narrow});
      for (const oci::SeccompArg& arg : args)
        // The selector takes the place of the first argument, which then lies in memory.
        if (!entry.selector.has_value() || arg.index != 0)
          condition.tests.push_back(MakeTest(arg, narrow));
      if (condition.tests.empty())
        verdict.always = verdict.always.value_or(action);
      else
        verdict.conditions.push_back(std::move(condition));
    }
  }

  // Of several rules that hold the strictest counts, so their order does not.
  SeccompAssembler::Label Conditions(std::vector<Condition> conditions) {
    std::ranges::stable_sort(conditions, {},
                             [](const Condition& each) { return Rank(each.action); });
    SeccompAssembler::Label next = assembler_.Return(default_action_);
    for (const Condition& condition : conditions | std::views::reverse) {
      SeccompAssembler::Label yes = assembler_.Return(condition.action);
      for (const ArgumentTest& test : condition.tests | std::views::reverse)
        yes = assembler_.Test(test, yes, next);
      next = yes;
    }
    return next;
  }

  // The numbers from `begin` on, in ascending order; what comes above them is up to the caller.
  void AddRanges(const Architecture& architecture, std::uint32_t begin) {
    std::uint32_t at = begin;
    for (const auto& [number, verdict] : architecture.verdicts) {
      if (number > at) Append({.first = at, .action = default_action_});
      if (verdict.always.has_value())
        Append({.first = number, .action = *verdict.always});
      else
        Append({.first = number, .is_label = true, .label = Conditions(verdict.conditions)});
      at = number + 1;
    }
    Append({.first = at, .action = default_action_});
    if (const auto limit = EnosysAbove(architecture); limit.has_value())
      Append({.first = std::max(*limit + 1, begin), .action = kEnosys});
  }

  // A refusal by default hides what is only newer than the profile: programs fall back to older
  // calls on ENOSYS, but take EPERM for an answer.
  std::optional<std::uint32_t> EnosysAbove(const Architecture& architecture) const {
    if (Rank(default_action_) < Rank(SCMP_ACT_TRACE(0)) &&
        default_action_ != SCMP_ACT_ERRNO(ENOSYS))
      return architecture.highest;
    if (enosys_above_known_)
      return std::max(architecture.highest, LastKnownSyscall(architecture.token));
    return std::nullopt;
  }

  void Append(const SeccompAssembler::Range& range) {
    if (!ranges_.empty() && !range.is_label && !ranges_.back().is_label &&
        ranges_.back().action == range.action)
      return;
    ranges_.push_back(range);
  }

  SeccompAssembler::Label Body(const Architecture& architecture) {
    ranges_.clear();
    AddRanges(architecture, 0);
    if (architecture.token == SCMP_ARCH_X86_64) {
      // x32 is x86_64 to the kernel, but for a bit in the number.
      const auto x32 = std::ranges::find(architectures_, SCMP_ARCH_X32, &Architecture::token);
      if (x32 != architectures_.end()) {
        AddRanges(*x32, kX32Bit);
      } else {
        Append({.first = kX32Bit, .action = kForeign});
        Append({.first = kSkipped, .action = default_action_});
      }
    }
    return assembler_.Load(offsetof(seccomp_data, nr), assembler_.Search(ranges_));
  }

  std::vector<sock_filter> Assemble() {
    SeccompAssembler::Label next = assembler_.Return(kForeign);
    for (const Architecture& architecture : architectures_ | std::views::reverse) {
      if (architecture.token == SCMP_ARCH_X32) continue;
      const SeccompAssembler::Label body = Body(architecture);
      next = assembler_.Jump(BPF_JEQ, architecture.token, body, next);
    }
    assembler_.Load(offsetof(seccomp_data, arch), next);
    return assembler_.Program();
  }

  const oci::Seccomp& profile_;
  const Warn& warn_;
  std::uint32_t default_action_;
  bool enosys_above_known_ = false;
  std::vector<Architecture> architectures_;
  std::vector<SeccompAssembler::Range> ranges_;
  SeccompAssembler assembler_;
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
  return "2 libseccomp " + std::to_string(version->major) + "." + std::to_string(version->minor) +
         "." + std::to_string(version->micro) + " arch " + std::to_string(::seccomp_arch_native());
}

}  // namespace coracle::runtime
