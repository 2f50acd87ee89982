#include "validate.h"

namespace coracle::oci {
namespace {

constexpr std::string_view kSection = "config-linux.md#seccomp";
constexpr std::string_view kActions[] = {
    "SCMP_ACT_KILL",  "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_TRAP",  "SCMP_ACT_ERRNO",        "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW", "SCMP_ACT_LOG",          "SCMP_ACT_NOTIFY"};
constexpr std::string_view kArchitectures[] = {
    "SCMP_ARCH_X86",     "SCMP_ARCH_X86_64",   "SCMP_ARCH_X32",         "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64", "SCMP_ARCH_MIPS",     "SCMP_ARCH_MIPS64",      "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",  "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",   "SCMP_ARCH_PPC64LE",  "SCMP_ARCH_S390",        "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",  "SCMP_ARCH_PARISC64", "SCMP_ARCH_RISCV64",     "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",    "SCMP_ARCH_SH",       "SCMP_ARCH_SHEB"};
constexpr std::string_view kFlags[] = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG",
                                       "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                       "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
constexpr std::string_view kOperators[] = {"SCMP_CMP_NE",       "SCMP_CMP_LT", "SCMP_CMP_LE",
                                           "SCMP_CMP_EQ",       "SCMP_CMP_GE", "SCMP_CMP_GT",
                                           "SCMP_CMP_MASKED_EQ"};
constexpr std::uint32_t kMaxArgIndex = 5;

struct ErrnoReturn {
  std::string pointer, action;
  std::optional<std::uint32_t> value;
};

void CheckErrno(const ErrnoReturn& given, Problems& problems) {
  if (!given.value) return;
  if (given.action != "SCMP_ACT_ERRNO" && given.action != "SCMP_ACT_TRACE") {
    problems.Add(given.pointer,
                 "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE return a value, not " + given.action,
                 kSection);
  }
}

void ValidateRule(const SeccompRule& rule, const std::string& pointer, bool has_listener,
                  Problems& problems) {
  if (rule.names.empty())
    problems.Add(At(pointer, "names"), "at least one name is required", kSection);
  problems.CheckName(At(pointer, "action"), rule.action, kActions, kSection);
  CheckErrno({At(pointer, "errnoRet"), rule.action, rule.errno_ret}, problems);
  if (rule.action == "SCMP_ACT_NOTIFY" && !has_listener) {
    problems.Add(At(pointer, "action"), "SCMP_ACT_NOTIFY needs /linux/seccomp/listenerPath",
                 kSection);
  }
  for (std::size_t i = 0; i < rule.args.size(); ++i) {
    const auto here = At(At(pointer, "args"), i);
    if (rule.args[i].index > kMaxArgIndex)
      problems.Add(At(here, "index"), "must be 0 to 5", kSection);
    problems.CheckName(At(here, "op"), rule.args[i].op, kOperators, kSection);
  }
}

}  // namespace

void ValidateSeccomp(const Seccomp& seccomp, Problems& problems) {
  const std::string pointer = "/linux/seccomp";
  problems.CheckName(At(pointer, "defaultAction"), seccomp.default_action, kActions, kSection);
  if (seccomp.default_action == "SCMP_ACT_NOTIFY") {
    problems.Add(At(pointer, "defaultAction"),
                 "SCMP_ACT_NOTIFY cannot be the default: the agent would have to answer for the "
                 "runtime itself",
                 kSection);
  }
  CheckErrno({At(pointer, "defaultErrnoRet"), seccomp.default_action, seccomp.default_errno_ret},
             problems);
  for (std::size_t i = 0; i < seccomp.architectures.size(); ++i) {
    problems.CheckName(At(At(pointer, "architectures"), i), seccomp.architectures[i],
                       kArchitectures, kSection);
  }
  for (std::size_t i = 0; i < seccomp.flags.size(); ++i)
    problems.CheckName(At(At(pointer, "flags"), i), seccomp.flags[i], kFlags, kSection);
  if (seccomp.listener_path.empty() && !seccomp.listener_metadata.empty())
    problems.Add(At(pointer, "listenerMetadata"), "needs listenerPath", kSection);
  for (std::size_t i = 0; i < seccomp.syscalls.size(); ++i) {
    ValidateRule(seccomp.syscalls[i], At(At(pointer, "syscalls"), i),
                 !seccomp.listener_path.empty(), problems);
  }
}

}  // namespace coracle::oci
