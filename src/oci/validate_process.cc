#include "validate.h"

namespace coracle::oci {
namespace {

constexpr std::string_view kRlimits[] = {
    "RLIMIT_AS",     "RLIMIT_CORE",   "RLIMIT_CPU",        "RLIMIT_DATA",
    "RLIMIT_FSIZE",  "RLIMIT_LOCKS",  "RLIMIT_MEMLOCK",    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",   "RLIMIT_NOFILE", "RLIMIT_NPROC",      "RLIMIT_RSS",
    "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK"};
constexpr std::string_view kPolicies[] = {"SCHED_OTHER",   "SCHED_FIFO", "SCHED_RR",
                                          "SCHED_BATCH",   "SCHED_ISO",  "SCHED_IDLE",
                                          "SCHED_DEADLINE"};
constexpr std::string_view kSchedulerFlags[] = {
    "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM",     "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",   "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX"};
constexpr std::string_view kIoClasses[] = {"IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE",
                                           "IOPRIO_CLASS_IDLE"};

void CheckRange(Problems& problems, const std::string& pointer, std::int64_t value,
                std::pair<std::int64_t, std::int64_t> range) {
  if (value >= range.first && value <= range.second) return;
  problems.Add(pointer,
               std::to_string(value) + " is out of range; allowed: " + std::to_string(range.first) +
                   " to " + std::to_string(range.second),
               "config.md#linux-process");
}

void CheckCpuList(Problems& problems, const std::string& pointer, const std::string& list) {
  if (list.find_first_not_of("0123456789,- ") != std::string::npos) {
    problems.Add(pointer, "\"" + list + "\" is not a list of CPUs such as \"0-3,7\"",
                 "config.md#linux-process");
  }
}

void ValidateRlimits(const std::vector<Rlimit>& rlimits, const std::string& pointer,
                     Problems& problems) {
  constexpr std::string_view kSection = "config.md#posix-process";
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < rlimits.size(); ++i) {
    const auto here = At(pointer, i);
    problems.CheckName(At(here, "type"), rlimits[i].type, kRlimits, kSection);
    if (!seen.insert(rlimits[i].type).second)
      problems.Add(At(here, "type"), rlimits[i].type + " is given twice", kSection);
    if (rlimits[i].soft > rlimits[i].hard) {
      problems.Add(At(here, "soft"),
                   std::to_string(rlimits[i].soft) + " exceeds the hard limit " +
                       std::to_string(rlimits[i].hard),
                   kSection);
    }
  }
}

void ValidateScheduler(const Scheduler& scheduler, const std::string& pointer, Problems& problems) {
  problems.CheckName(At(pointer, "policy"), scheduler.policy, kPolicies, "config.md#linux-process");
  for (std::size_t i = 0; i < scheduler.flags.size(); ++i) {
    problems.CheckName(At(At(pointer, "flags"), i), scheduler.flags[i], kSchedulerFlags,
                       "config.md#linux-process");
  }
  CheckRange(problems, At(pointer, "nice"), scheduler.nice, {-20, 19});
  CheckRange(problems, At(pointer, "priority"), scheduler.priority, {0, 99});
}

}  // namespace

void ValidateProcess(const Process& process, const std::string& pointer, Problems& problems) {
  CheckAbsolute(problems, At(pointer, "cwd"), process.cwd, "config.md#process");
  if (process.args.empty()) {
    problems.Add(At(pointer, "args"), "at least one argument is required",
                 "config.md#posix-process");
  }
  CheckEnv(problems, At(pointer, "env"), process.env, "config.md#process");
  ValidateRlimits(process.rlimits, At(pointer, "rlimits"), problems);
  if (process.user.umask)
    CheckRange(problems, At(At(pointer, "user"), "umask"), *process.user.umask, {0, 0777});
  if (process.oom_score_adj)
    CheckRange(problems, At(pointer, "oomScoreAdj"), *process.oom_score_adj, {-1000, 1000});
  if (process.scheduler) ValidateScheduler(*process.scheduler, At(pointer, "scheduler"), problems);
  if (process.io_priority) {
    const auto here = At(pointer, "ioPriority");
    problems.CheckName(At(here, "class"), process.io_priority->io_class, kIoClasses,
                       "config.md#linux-process");
    CheckRange(problems, At(here, "priority"), process.io_priority->priority, {0, 7});
  }
  if (process.exec_cpu_affinity) {
    const auto here = At(pointer, "execCPUAffinity");
    CheckCpuList(problems, At(here, "initial"), process.exec_cpu_affinity->initial);
    CheckCpuList(problems, At(here, "final"), process.exec_cpu_affinity->final_);
  }
}

}  // namespace coracle::oci
