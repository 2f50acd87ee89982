// Everything that makes a process the configured one, except namespaces, capabilities, rlimits and
// seccomp: config.md#process. Used by create and by exec.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/oci/spec.h"
#include "coracle/runtime/container.h"
#include "memory_policy.h"
#include "scheduler.h"

namespace coracle::runtime {

struct ProcessPlan {
  std::vector<std::string> args, env;
  std::string cwd;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // exactly these, also when there are none
  mode_t umask = 0022;
  bool no_new_privileges = false;
  std::optional<int> oom_score_adj;
  std::string apparmor_profile, selinux_label;
  std::optional<SchedulerAttributes> scheduler;
  std::optional<int> io_priority;  // as ioprio_set(2) takes it
  std::optional<unsigned long> personality;
  std::optional<MemoryPolicyPlan> memory_policy;
  std::optional<cpu_set_t> initial_cpus, final_cpus;  // execCPUAffinity
};

// `pointer` is the process's place in its document: "/process", or "" for a process document.
Result<ProcessPlan> PlanProcess(const oci::Process& process, const std::string& pointer);
// linux.personality, which belongs to the container and not to process.
Result<std::optional<unsigned long>> PlanPersonality(const oci::Spec& spec);

// Parent, on its waiting child: a process that is not dumpable may not write its own file. What
// only root may lower stays as it is for those who are not, with a warning.
Status SetOomScoreAdj(const Runtime& runtime, const ProcessPlan& plan, pid_t pid);

// The steps of the process itself, in the order in which they are safe. `proc_fd` comes from
// OpenProc (procfs.h).
Status JoinSessionKeyring();
Status SetPersonality(const ProcessPlan& plan);
Status SetIoPriority(const ProcessPlan& plan);
Status SetCpuAffinity(const std::optional<cpu_set_t>& cpus);
// AppArmor and SELinux: the label that execve(2) gives.
Status SetExecLabels(const ProcessPlan& plan, int proc_fd);
Status SetNoNewPrivileges(const ProcessPlan& plan);
// Standard streams that are pipes, sockets or terminals become the user's, so that it can open
// /dev/stdout again.
Status OwnStandardStreams(const ProcessPlan& plan);
// Groups, gid, uid; keeps the permitted capabilities for SetCapabilities (capabilities.h). umask.
Status SetUser(const ProcessPlan& plan);

}  // namespace coracle::runtime
