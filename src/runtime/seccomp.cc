#include "seccomp.h"

#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "coracle/base/json.h"
#include "coracle/sys/socket.h"
#include "seccomp_cache.h"
#include "seccomp_compile.h"

namespace coracle::runtime {
namespace {

struct Flag {
  std::string_view name;
  unsigned value;
};
constexpr std::array<Flag, 4> kFlags = {{
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
}};

Error BadSeccomp(const std::string& place, const std::string& text) {
  return {Code::kInvalidConfig, EINVAL, "/linux/seccomp" + place + ": " + text};
}

Status CheckAction(const std::string& place, const std::string& action,
                   const std::optional<std::uint32_t>& errno_ret, const char* errno_member) {
  if (!SeccompAction(action, 0).has_value())
    return BadSeccomp(place, "\"" + action + "\" is not an action");
  if (!errno_ret.has_value()) return {};
  const std::string errno_place = place.substr(0, place.rfind('/') + 1) + errno_member;
  if (action != "SCMP_ACT_ERRNO" && action != "SCMP_ACT_TRACE")
    return BadSeccomp(errno_place, action + " takes no errno, SCMP_ACT_ERRNO and _TRACE do");
  const std::uint32_t limit = action == "SCMP_ACT_ERRNO" ? 4095 : 65535;
  if (*errno_ret > limit) return BadSeccomp(errno_place, "goes up to " + std::to_string(limit));
  return {};
}

// The container process sends the listener away with these: it would wait for an answer that only
// the listener's owner could give.
bool NeededToSendListener(const std::string& name) { return name == "write" || name == "sendmsg"; }

Status CheckRule(const oci::SeccompRule& rule, const std::string& place) {
  if (rule.names.empty()) return BadSeccomp(place + "/names", "must not be empty");
  TRY(CheckAction(place + "/action", rule.action, rule.errno_ret, "errnoRet"));
  if (rule.action == "SCMP_ACT_NOTIFY" && std::ranges::any_of(rule.names, NeededToSendListener))
    return BadSeccomp(place, "SCMP_ACT_NOTIFY cannot be used for write and sendmsg");
  for (std::size_t i = 0; i < rule.args.size(); ++i) {
    const std::string arg_place = place + "/args/" + std::to_string(i);
    const oci::SeccompArg& arg = rule.args[i];
    if (arg.index > 5) return BadSeccomp(arg_place + "/index", "goes from 0 to 5");
    if (!SeccompOperator(arg.op).has_value())
      return BadSeccomp(arg_place + "/op", "\"" + arg.op + "\" is not an operator");
  }
  return {};
}

Result<unsigned> PlanFlags(const oci::Seccomp& profile) {
  unsigned flags = 0;
  for (std::size_t i = 0; i < profile.flags.size(); ++i) {
    const auto row = std::ranges::find(kFlags, profile.flags[i], &Flag::name);
    if (row == kFlags.end())
      return BadSeccomp("/flags/" + std::to_string(i),
                        "\"" + profile.flags[i] + "\" is not a flag");
    flags |= row->value;
  }
  return flags;
}

Status CheckListener(const oci::Seccomp& profile, bool wants_listener) {
  if (profile.default_action == "SCMP_ACT_NOTIFY")
    return BadSeccomp("/defaultAction", "SCMP_ACT_NOTIFY cannot be the default action");
  if (!profile.listener_metadata.empty() && profile.listener_path.empty())
    return BadSeccomp("/listenerMetadata", "needs listenerPath");
  if (wants_listener && profile.listener_path.empty())
    return BadSeccomp("/listenerPath", "SCMP_ACT_NOTIFY needs one");
  return {};
}

}  // namespace

Result<std::optional<SeccompPlan>> PlanSeccomp(const oci::Spec& spec) {
  if (!spec.linux_.seccomp.has_value()) return std::optional<SeccompPlan>{};
  SeccompPlan plan{.profile = *spec.linux_.seccomp};
  const oci::Seccomp& profile = plan.profile;
  TRY(CheckAction("/defaultAction", profile.default_action, profile.default_errno_ret,
                  "defaultErrnoRet"));
  for (std::size_t i = 0; i < profile.architectures.size(); ++i)
    if (!SeccompArchitecture(profile.architectures[i]).has_value())
      return BadSeccomp("/architectures/" + std::to_string(i),
                        "\"" + profile.architectures[i] + "\" is not an architecture");
  for (std::size_t i = 0; i < profile.syscalls.size(); ++i) {
    TRY(CheckRule(profile.syscalls[i], "/syscalls/" + std::to_string(i)));
    plan.wants_listener = plan.wants_listener || profile.syscalls[i].action == "SCMP_ACT_NOTIFY";
  }
  plan.flags = TRY(PlanFlags(profile));
  TRY(CheckListener(profile, plan.wants_listener));
  return std::optional(std::move(plan));
}

// All that the program depends on.
SeccompCache CacheOf(std::string directory, std::string_view text) {
  std::string key = CompilerIdentity();
  key.reserve(key.size() + 1 + text.size());
  key += ' ';
  key += text;
  return {std::move(directory), std::move(key)};
}

std::optional<SeccompProgram> ReadCachedProgram(const SeccompCache& cache) {
  if (cache.directory.empty()) return std::nullopt;
  auto cached = ReadCachedFilter(cache.directory, cache.key);
  if (!cached.has_value()) return std::nullopt;
  return SeccompProgram{.instructions = std::move(cached->instructions), .flags = cached->flags};
}

Result<SeccompProgram> CompileSeccomp(const SeccompPlan& plan, const SeccompCache& cache,
                                      const Warn& warn) {
  SeccompProgram program;
  program.flags = plan.flags;
  program.wants_listener = plan.wants_listener;
  program.listener_path = plan.profile.listener_path;
  program.listener_metadata = plan.profile.listener_metadata;
  program.instructions = TRY(CompileProfile(plan.profile, warn));
  if (cache.directory.empty() || !program.listener_path.empty()) return program;
  // Without the cache the next start is only slower.
  const Status written =
      WriteCachedFilter(cache.directory, cache.key, {program.instructions, program.flags});
  if (!written.has_value() && warn) warn("seccomp cache: " + written.error().message);
  return program;
}

Result<UniqueFd> LoadSeccomp(const SeccompProgram& program) {
  unsigned flags = program.flags;
  if (program.wants_listener) {
    flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Otherwise the call could not say both: which thread failed, and the descriptor.
    if ((flags & SECCOMP_FILTER_FLAG_TSYNC) != 0) flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  } else {
    flags &= ~static_cast<unsigned>(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  }
  sock_fprog raw{};
  raw.len = static_cast<unsigned short>(program.instructions.size());
  raw.filter = const_cast<sock_filter*>(program.instructions.data());
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &raw);
  if (result < 0 || (result > 0 && !program.wants_listener)) {
    if (result > 0) errno = ESRCH;
    return KernelError("seccomp(2) SECCOMP_SET_MODE_FILTER instructions=" +
                       std::to_string(program.instructions.size()) +
                       " flags=" + std::to_string(flags));
  }
  return program.wants_listener ? UniqueFd(static_cast<int>(result)) : UniqueFd();
}

Status SendSeccompListener(const SeccompProgram& program, const Json& state, pid_t pid,
                           int listener_fd) {
  const UniqueFd socket = TRY(sys::ConnectUnix(program.listener_path, SOCK_STREAM));
  Json message = {{"ociVersion", state.value("ociVersion", "")},
                  {"fds", Json::array({"seccompFd"})},
                  {"pid", pid},
                  {"metadata", program.listener_metadata},
                  {"state", state}};
  return sys::SendFds(socket.get(), PrintJson(message), {listener_fd});
}

}  // namespace coracle::runtime
