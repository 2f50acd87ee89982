#include "processes.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "cgroup_manager.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/sys/process.h"
#include "loaded.h"

namespace coracle::runtime {
namespace {

// 0: the process is gone, or none that we may look into, and so none of ours.
ino_t PidNamespace(pid_t pid) {
  struct stat status {};
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/pid";
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

Result<std::map<pid_t, pid_t>> ParentsOfAll() {
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (proc == nullptr) return KernelError("opendir(3) path=/proc");
  std::map<pid_t, pid_t> parents;
  while (const dirent* entry = ::readdir(proc.get())) {
    pid_t pid = 0;
    std::from_chars(entry->d_name, entry->d_name + std::strlen(entry->d_name), pid);
    if (pid <= 0) continue;
    const Result<sys::ProcessStat> stat = sys::ReadProcessStat(pid);
    if (stat.has_value() && stat->state != 'Z') parents[pid] = stat->parent;
  }
  return parents;
}

// Processes of exec are no descendants of the first one, but in its PID namespace; those in PID
// namespaces below are descendants of one that is.
Result<std::vector<pid_t>> ProcessesBelow(pid_t first) {
  const ino_t wanted = PidNamespace(first);
  const std::map<pid_t, pid_t> parents = TRY(ParentsOfAll());
  std::map<pid_t, bool> inside;
  for (const auto& [pid, parent] : parents)
    inside[pid] = pid == first || (wanted != 0 && PidNamespace(pid) == wanted);
  for (bool grew = true; grew;) {
    grew = false;
    for (const auto& [pid, parent] : parents) {
      const auto above = inside.find(parent);
      if (inside[pid] || above == inside.end() || !above->second) continue;
      inside[pid] = grew = true;
    }
  }
  std::vector<pid_t> pids;
  for (const auto& [pid, is_inside] : inside)
    if (is_inside) pids.push_back(pid);
  return pids;
}

// A number may be another process's by the time we use it. So each is pinned by a pidfd first, and
// counts only if it is still one of the container's then.
Status SignalEach(const StateFile& file, int signal) {
  std::vector<std::pair<pid_t, UniqueFd>> pinned;
  for (const pid_t pid : TRY(ProcessesBelow(file.pid)))
    if (Result<UniqueFd> pidfd = sys::pidfd_open(pid); pidfd.has_value())
      pinned.emplace_back(pid, *std::move(pidfd));
  const std::vector<pid_t> now = TRY(ProcessesBelow(file.pid));
  if (!IsAlive(file)) return {};
  for (const auto& [pid, pidfd] : pinned) {
    if (!std::ranges::binary_search(now, pid)) continue;
    const Status sent = sys::pidfd_send_signal(pidfd.get(), signal);
    if (!sent.has_value() && sent.error().code != Code::kNotFound) return sent;
  }
  return {};
}

}  // namespace

Result<std::vector<pid_t>> ProcessesOf(const StateFile& file) {
  if (!file.cgroup.empty()) return CgroupPids(file.cgroup);
  if (!file.own_pid_namespace)
    return Error{Code::kUnsupported, 0,
                 "the container has neither a cgroup nor a PID namespace of its own, so nothing "
                 "says which processes are its own"};
  return ProcessesBelow(file.pid);
}

Status SignalProcesses(const StateFile& file, int signal) {
  if (!file.cgroup.empty()) return SignalCgroup(file.cgroup, signal);
  const Result<UniqueFd> first = OpenContainerProcess(file);
  if (!file.own_pid_namespace) TRY(ProcessesOf(file));
  if (!first.has_value()) return {};  // the others died with it
  return signal == SIGKILL ? sys::pidfd_send_signal(first->get(), SIGKILL)
                           : SignalEach(file, signal);
}

}  // namespace coracle::runtime
