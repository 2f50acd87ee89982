#include "seccomp_oracle.h"

#include <linux/audit.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "seccomp_compile.h"
#include "seccomp_syscalls.h"

namespace coracle::test {
namespace {

using runtime::kX32Bit;
using runtime::SeccompAction;
using runtime::SeccompArchitecture;
using runtime::SeccompOperator;
using runtime::SyscallEntries;
using runtime::SyscallEntry;

std::uint32_t Action(const std::string& name, const std::optional<std::uint32_t>& errno_ret) {
  return *SeccompAction(name, errno_ret.value_or(EPERM));
}

// A condition on the same argument twice means "any of them".
std::vector<std::vector<scmp_arg_cmp>> Conditions(const oci::SeccompRule& rule) {
  std::vector<scmp_arg_cmp> all;
  std::set<unsigned> indices;
  for (const oci::SeccompArg& arg : rule.args) {
    all.push_back(
        {arg.index, static_cast<scmp_compare>(*SeccompOperator(arg.op)), arg.value, arg.value_two});
    indices.insert(arg.index);
  }
  if (indices.size() == all.size()) return {all};
  std::vector<std::vector<scmp_arg_cmp>> separate;
  for (const scmp_arg_cmp& condition : all) separate.push_back({condition});
  return separate;
}

}  // namespace

SeccompOracle::SeccompOracle(const oci::Seccomp& profile)
    : default_action_(Action(profile.default_action, profile.default_errno_ret)) {
  enosys_ = profile.default_action != "SCMP_ACT_ALLOW" &&
            profile.default_action != "SCMP_ACT_LOG" &&
            profile.default_action != "SCMP_ACT_TRACE" && default_action_ != SCMP_ACT_ERRNO(ENOSYS);
  void* filter = ::seccomp_init(default_action_);
  architectures_[::seccomp_arch_native()];
  for (const std::string& name : profile.architectures) {
    const std::uint32_t token = *SeccompArchitecture(name);
    (void)::seccomp_arch_add(filter, token);
    architectures_[token];
  }
  for (const oci::SeccompRule& rule : profile.syscalls) {
    const std::uint32_t action = Action(rule.action, rule.errno_ret);
    NoteNames(rule, action);
    for (const std::string& name : rule.names) {
      const int number = ::seccomp_syscall_resolve_name(name.c_str());
      if (number == __NR_SCMP_ERROR || action == default_action_) continue;
      for (const auto& conditions : Conditions(rule)) {
        const int result = ::seccomp_rule_add_array(
            filter, action, number, static_cast<unsigned>(conditions.size()), conditions.data());
        EXPECT_TRUE(result == 0 || result == -EDOM) << name << " " << result;
      }
    }
  }
  Export(filter);
  ::seccomp_release(filter);
}

void SeccompOracle::NoteNames(const oci::SeccompRule& rule, std::uint32_t action) {
  for (const std::string& name : rule.names)
    for (auto& [token, architecture] : architectures_)
      for (const SyscallEntry& entry : SyscallEntries(token, name)) {
        architecture.highest = std::max(architecture.highest, entry.number);
        if (::seccomp_syscall_resolve_name(name.c_str()) == __NR_SCMP_ERROR)
          architecture.added.try_emplace(entry.number, action);
      }
}

void SeccompOracle::Export(void* filter) {
  const int file = ::memfd_create("oracle", MFD_CLOEXEC);
  EXPECT_EQ(::seccomp_export_bpf(filter, file), 0);
  const off_t size = ::lseek(file, 0, SEEK_END);
  program_.resize(static_cast<std::size_t>(size) / sizeof(sock_filter));
  EXPECT_EQ(::pread(file, program_.data(), static_cast<std::size_t>(size), 0), size);
  ::close(file);
}

std::uint32_t SeccompOracle::Decide(const seccomp_data& data) const {
  const auto number = static_cast<std::uint32_t>(data.nr);
  std::uint32_t token = data.arch;
  if (token == AUDIT_ARCH_X86_64 && number >= kX32Bit) token = SCMP_ARCH_X32;
  const auto found = architectures_.find(token);
  if (found != architectures_.end()) {
    const auto added = found->second.added.find(number);
    if (added != found->second.added.end()) return added->second;
    if (enosys_ && number > found->second.highest) return SECCOMP_RET_ERRNO | ENOSYS;
  }
  return Evaluate(program_, data);
}

}  // namespace coracle::test
