// The verbs that look at a container or end it: state, list, kill, delete. runtime.md#operations.
#include "coracle/runtime/container.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "cgroup_manager.h"
#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/sys/process.h"
#include "hooks.h"
#include "loaded.h"
#include "processes.h"

namespace coracle::runtime {
namespace {

constexpr int kDeathTimeoutMs = 10'000;

Status KillLoaded(const StateFile& file, int signal, bool all) {
  if (all) return SignalProcesses(file, signal);
  const UniqueFd pidfd = TRY(OpenContainerProcess(file));
  // Nothing else ends the others with their first process, when its PID namespace is not theirs.
  if (signal == SIGKILL && !file.own_pid_namespace && !file.cgroup.empty())
    return SignalCgroup(file.cgroup, SIGKILL);
  Status sent = sys::pidfd_send_signal(pidfd.get(), signal);
  if (!sent.has_value() && sent.error().code == Code::kNotFound) return NotRunning();
  return sent;
}

Error StillThere(const StateFile& file) {
  const std::string pid = std::to_string(file.pid);
  const auto stat = sys::ReadProcessStat(file.pid);
  return {Code::kKernel, EBUSY,
          "process " + pid + " does not die; its state is " +
              std::string(1, stat.has_value() ? stat->state : '?') + ", it waits in " +
              ReadFile("/proc/" + pid + "/wchan").value_or("an unknown place")};
}

// SIGKILL to the container, also to one that is not `created` yet, and wait for its first process.
Status EndProcesses(const StateFile& file) {
  const Result<UniqueFd> pidfd = OpenContainerProcess(file);
  if (!file.cgroup.empty()) TRY(SignalCgroup(file.cgroup, SIGKILL));
  if (!pidfd.has_value()) return {};
  (void)sys::pidfd_send_signal(pidfd->get(), SIGKILL);
  pollfd polled{pidfd->get(), POLLIN, 0};
  const int ready = ::poll(&polled, 1, kDeathTimeoutMs);
  return ready > 0 ? Status() : Status(StillThere(file));
}

// Everything that create made, whether or not it came to an end.
Status RemoveAll(const StatePaths& paths, const StateFile& file) {
  TRY(EndProcesses(file));
  if (!file.cgroup.empty()) {
    TRY(RemoveCgroup(file.cgroup));
    UndoMakeCgroup(file.cgroup_created);
  }
  return RemoveTree(paths.directory);
}

// config.md#poststop: a failing hook is a warning, and the next one runs.
void RunPoststop(const Runtime& runtime, const oci::Hooks& hooks, const oci::State& state) {
  for (const oci::Hook& hook : hooks.poststop) {
    const Status run = RunHooks({hook}, "poststop", state);
    if (!run.has_value() && runtime.warn) runtime.warn(run.error().message);
  }
}

Status DeleteExisting(const Runtime& runtime, const std::string& id, bool force) {
  const StatePaths paths = PathsOf(runtime.root, id);
  Result<StateFile> file = ReadStateFile(paths);
  // Before the lock: a creation or a start that hangs in a hook holds it.
  if (force && file.has_value()) TRY(EndProcesses(*file));
  const UniqueFd lock = TRY(LockState(paths));
  file = ReadStateFile(paths);
  if (!file.has_value()) {
    // A directory without a state: a creation that died at once.
    return file.error().code == Code::kNotFound ? RemoveTree(paths.directory) : file.error();
  }
  const oci::ContainerStatus status = DeriveStatus(paths, *file);
  if (!force &&
      (status == oci::ContainerStatus::kRunning || status == oci::ContainerStatus::kPaused))
    return Error{
        Code::kWrongState, EBUSY,
        "cannot delete a container that is not stopped: " + std::string(oci::StatusName(status))};
  const Result<oci::Spec> spec =
      file->has_poststop ? ReadConfigCopy(paths) : Result<oci::Spec>(oci::Spec{});
  TRY(RemoveAll(paths, *file));
  if (!spec.has_value()) return spec.error();
  RunPoststop(runtime, spec->hooks, ToOciState(*file, oci::ContainerStatus::kStopped));
  return {};
}

Result<oci::State> StateOf(const Runtime& runtime, const std::string& id) {
  const Loaded loaded = TRY(Load(runtime, id));
  return ToOciState(loaded.file, DeriveStatus(loaded.paths, loaded.file));
}

Status KillUnnamed(const Runtime& runtime, const std::string& id, int signal, bool all) {
  return KillLoaded(TRY(Load(runtime, id)).file, signal, all);
}

Status DeleteUnnamed(const Runtime& runtime, const std::string& id, bool force) {
  TRY(ValidateId(id));
  Status deleted = DeleteExisting(runtime, id, force);
  if (force && !deleted.has_value() && deleted.error().code == Code::kNotFound) return {};
  return deleted;
}

}  // namespace

Result<oci::State> State(const Runtime& runtime, const std::string& id) {
  return Named("state of", id, StateOf(runtime, id));
}

Result<std::vector<oci::State>> List(const Runtime& runtime) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(runtime.root.c_str()), ::closedir);
  if (dir == nullptr) {
    if (errno == ENOENT) return std::vector<oci::State>();
    return KernelError("opendir(3) path=" + runtime.root);
  }
  std::vector<oci::State> states;
  while (const dirent* entry = ::readdir(dir.get())) {
    // Neither the seccomp cache, nor a container that goes away while we look.
    if (!ValidateId(entry->d_name).has_value()) continue;
    Result<oci::State> state = StateOf(runtime, entry->d_name);
    if (state.has_value()) states.push_back(std::move(*state));
  }
  std::ranges::sort(states, {}, &oci::State::id);
  return states;
}

Result<Created> CreatedAt(const Runtime& runtime, const std::string& id) {
  const Result<Loaded> loaded = Named("state of", id, Load(runtime, id));
  if (!loaded.has_value()) return loaded.error();
  return Created{loaded->file.created_unix_ns, loaded->file.owner_uid};
}

Status Kill(const Runtime& runtime, const std::string& id, int signal, bool all) {
  return Named("kill", id, KillUnnamed(runtime, id, signal, all));
}

Status Delete(const Runtime& runtime, const std::string& id, bool force) {
  return Named("delete", id, DeleteUnnamed(runtime, id, force));
}

}  // namespace coracle::runtime
