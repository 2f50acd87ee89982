#include "process_attributes.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "coracle/base/file.h"
#include "number_list.h"
#include "procfs.h"
#include "rootless.h"
#include "scheduler.h"

namespace coracle::runtime {
namespace {

// ioprio_set(2). Not from <linux/ioprio.h>, which newer kernels have made unreadable for C++.
constexpr int kIoprioWhoProcess = 1;
constexpr int kIoprioClassShift = 13;

constexpr std::uint32_t kMaxId = 0xfffffffe;  // 2^32-1 is setresuid(2)'s "leave it"

Error BadProcess(const std::string& place, const std::string& text) {
  return {Code::kInvalidConfig, EINVAL, place + ": " + text};
}

Status CheckStrings(const oci::Process& process, const std::string& pointer) {
  if (process.args.empty()) return BadProcess(pointer + "/args", "must name a program");
  if (!process.cwd.starts_with('/'))
    return BadProcess(pointer + "/cwd", "\"" + process.cwd + "\" is not an absolute path");
  const auto has_nul = [](const std::string& text) { return text.find('\0') != text.npos; };
  if (std::ranges::any_of(process.args, has_nul))
    return BadProcess(pointer + "/args", "contains a NUL byte");
  if (std::ranges::any_of(process.env, has_nul))
    return BadProcess(pointer + "/env", "contains a NUL byte");
  if (has_nul(process.cwd)) return BadProcess(pointer + "/cwd", "contains a NUL byte");
  return {};
}

Status CheckUser(const oci::User& user, const std::string& pointer) {
  const std::string allowed = "ids go from 0 to " + std::to_string(kMaxId);
  if (user.uid > kMaxId) return BadProcess(pointer + "/user/uid", allowed);
  if (user.gid > kMaxId) return BadProcess(pointer + "/user/gid", allowed);
  if (std::ranges::any_of(user.additional_gids, [](auto gid) { return gid > kMaxId; }))
    return BadProcess(pointer + "/user/additionalGids", allowed);
  if (user.umask.value_or(0) > 0777)
    return BadProcess(pointer + "/user/umask", "goes from 0 to 511 (0777)");
  return {};
}

Result<int> PlanIoPriority(const oci::IoPriority& io, const std::string& pointer) {
  static constexpr std::array<std::string_view, 4> kClasses = {
      "", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"};
  const auto found = std::ranges::find(kClasses, io.io_class);
  if (found == kClasses.end() || io.io_class.empty())
    return BadProcess(pointer + "/class", "\"" + io.io_class +
                                              "\" is not one of IOPRIO_CLASS_RT, "
                                              "IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE");
  if (io.priority < 0 || io.priority > 7)
    return BadProcess(pointer + "/priority", "goes from 0 to 7");
  return static_cast<int>(found - kClasses.begin()) << kIoprioClassShift | io.priority;
}

Result<cpu_set_t> ParseCpuList(std::string_view list, const std::string& pointer) {
  const auto numbers = ParseNumberList(list, CPU_SETSIZE);
  if (!numbers)
    return BadProcess(pointer,
                      "\"" + std::string(list) + "\" is not a list of CPUs like \"0-3,7\"");
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (const unsigned cpu : *numbers) CPU_SET(cpu, &cpus);
  return cpus;
}

Status PlanAffinity(const oci::ExecCpuAffinity& affinity, const std::string& pointer,
                    ProcessPlan& plan) {
  if (!affinity.initial.empty())
    plan.initial_cpus = TRY(ParseCpuList(affinity.initial, pointer + "/initial"));
  if (!affinity.final_.empty())
    plan.final_cpus = TRY(ParseCpuList(affinity.final_, pointer + "/final"));
  return {};
}

Status PlanLabels(const oci::Process& process, const std::string& pointer, ProcessPlan& plan) {
  plan.apparmor_profile = process.apparmor_profile;
  plan.selinux_label = process.selinux_label;
  if (!plan.apparmor_profile.empty()) {
    const auto enabled = ReadFile("/sys/module/apparmor/parameters/enabled");
    if (!enabled.has_value() || !enabled->starts_with('Y'))
      return Error{Code::kUnsupported, ENOTSUP,
                   pointer + "/apparmorProfile: AppArmor is not enabled on this host"};
  }
  if (!plan.selinux_label.empty() && ::access("/sys/fs/selinux/enforce", F_OK) != 0)
    return Error{Code::kUnsupported, ENOTSUP,
                 pointer + "/selinuxLabel: SELinux is not enabled on this host"};
  return {};
}

}  // namespace

Result<ProcessPlan> PlanProcess(const oci::Process& process, const std::string& pointer) {
  TRY(CheckStrings(process, pointer));
  TRY(CheckUser(process.user, pointer));
  ProcessPlan plan;
  plan.args = process.args;
  plan.env = process.env;
  plan.cwd = process.cwd;
  plan.uid = process.user.uid;
  plan.gid = process.user.gid;
  plan.groups = {process.user.additional_gids.begin(), process.user.additional_gids.end()};
  plan.umask = process.user.umask.value_or(0022);
  plan.no_new_privileges = process.no_new_privileges;
  plan.oom_score_adj = process.oom_score_adj;
  if (plan.oom_score_adj.value_or(0) < -1000 || plan.oom_score_adj.value_or(0) > 1000)
    return BadProcess(pointer + "/oomScoreAdj", "goes from -1000 to 1000");
  TRY(PlanLabels(process, pointer, plan));
  if (process.scheduler.has_value())
    plan.scheduler = TRY(PlanScheduler(*process.scheduler, pointer + "/scheduler"));
  if (process.io_priority.has_value())
    plan.io_priority = TRY(PlanIoPriority(*process.io_priority, pointer + "/ioPriority"));
  if (process.exec_cpu_affinity.has_value())
    TRY(PlanAffinity(*process.exec_cpu_affinity, pointer + "/execCPUAffinity", plan));
  return plan;
}

Result<std::optional<unsigned long>> PlanPersonality(const oci::Spec& spec) {
  const auto& personality = spec.linux_.personality;
  if (!personality.has_value()) return std::optional<unsigned long>{};
  if (!personality->flags.empty())
    return BadProcess("/linux/personality/flags", "no flag is supported");
  if (personality->domain == "LINUX") return std::optional<unsigned long>{PER_LINUX};
  if (personality->domain == "LINUX32") return std::optional<unsigned long>{PER_LINUX32};
  return BadProcess("/linux/personality/domain",
                    "\"" + personality->domain + "\" is not one of LINUX, LINUX32");
}

Status SetOomScoreAdj(const Runtime& runtime, const ProcessPlan& plan, pid_t pid) {
  if (!plan.oom_score_adj.has_value()) return {};
  Status written = WriteKernelFile("/proc/" + std::to_string(pid) + "/oom_score_adj",
                                   std::to_string(*plan.oom_score_adj));
  if (written.has_value() || !IsRefused(written.error()) || !IsRootless(runtime)) return written;
  if (runtime.warn) runtime.warn("/process/oomScoreAdj: ignored: " + written.error().message);
  return {};
}

// An anonymous keyring: a named one could be joined by another container that knows the name.
Status JoinSessionKeyring() {
  const long keyring = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  // A kernel without keys, or a sandbox around us that forbids keyctl(2), has nothing to share.
  if (keyring < 0 && (errno == ENOSYS || errno == EPERM)) return {};
  if (keyring < 0) return KernelError("keyctl(2) KEYCTL_JOIN_SESSION_KEYRING");
  constexpr unsigned kPossessorAll = 0x3f000000;
  if (::syscall(SYS_keyctl, KEYCTL_SETPERM, keyring, kPossessorAll) == 0) return {};
  return KernelError("keyctl(2) KEYCTL_SETPERM");
}

Status SetPersonality(const ProcessPlan& plan) {
  if (!plan.personality.has_value() || ::personality(*plan.personality) >= 0) return {};
  return KernelError("personality(2) persona=" + std::to_string(*plan.personality));
}

Status SetIoPriority(const ProcessPlan& plan) {
  if (!plan.io_priority.has_value()) return {};
  if (::syscall(SYS_ioprio_set, kIoprioWhoProcess, 0, *plan.io_priority) == 0) return {};
  return KernelError("ioprio_set(2) ioprio=" + std::to_string(*plan.io_priority));
}

Status SetCpuAffinity(const std::optional<cpu_set_t>& cpus) {
  if (!cpus.has_value() || ::sched_setaffinity(0, sizeof *cpus, &*cpus) == 0) return {};
  return KernelError("sched_setaffinity(2) of process.execCPUAffinity");
}

Status SetExecLabels(const ProcessPlan& plan, int proc_fd) {
  if (!plan.apparmor_profile.empty()) {
    const std::string text = "exec " + plan.apparmor_profile;
    Status status = WriteProc(proc_fd, "thread-self/attr/apparmor/exec", text);
    // Before Linux 5.8 AppArmor had no directory of its own.
    if (!status.has_value() && status.error().errnum == ENOENT)
      status = WriteProc(proc_fd, "thread-self/attr/exec", text);
    TRY(std::move(status));
  }
  if (plan.selinux_label.empty()) return {};
  return WriteProc(proc_fd, "thread-self/attr/exec", plan.selinux_label);
}

Status SetNoNewPrivileges(const ProcessPlan& plan) {
  if (!plan.no_new_privileges || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return {};
  return KernelError("prctl(2) PR_SET_NO_NEW_PRIVS");
}

Status OwnStandardStreams(const ProcessPlan& plan) {
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
      if (errno == EBADF) continue;
      return KernelError("fstat(2) fd=" + std::to_string(fd));
    }
    // Never a regular file, /dev/null or another device: those belong to the host.
    const bool stream = S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || ::isatty(fd) == 1;
    if (!stream || status.st_uid == plan.uid) continue;
    if (::fchown(fd, plan.uid, static_cast<gid_t>(-1)) == 0) continue;
    // A user namespace may not own the caller's stream; the process can still use it.
    if (errno == EINVAL || errno == EPERM || errno == EROFS) continue;
    return KernelError("fchown(2) fd=" + std::to_string(fd));
  }
  return {};
}

Status SetUser(const ProcessPlan& plan) {
  ::umask(plan.umask);
  if (::setgroups(plan.groups.size(), plan.groups.data()) != 0) {
    // In a user namespace made without privilege setgroups(2) is forbidden for good.
    if (errno != EPERM || !plan.groups.empty()) return KernelError("setgroups(2)");
  }
  if (::setresgid(plan.gid, plan.gid, plan.gid) != 0)
    return KernelError("setresgid(2) gid=" + std::to_string(plan.gid));
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return KernelError("prctl(2) PR_SET_KEEPCAPS");
  if (::setresuid(plan.uid, plan.uid, plan.uid) != 0)
    return KernelError("setresuid(2) uid=" + std::to_string(plan.uid));
  return {};
}

}  // namespace coracle::runtime
