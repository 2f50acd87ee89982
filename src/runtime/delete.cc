// delete: runtime.md#delete. Takes back what create made, whether or not that came to an end.
#include "delete.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "cgroup_manager.h"
#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/sys/process.h"
#include "hooks.h"
#include "intel_rdt.h"
#include "loaded.h"
#include "systemd_manager.h"

namespace coracle::runtime {
namespace {

constexpr int kDeathTimeoutMs = 10'000;

Error StillThere(pid_t number) {
  const std::string pid = std::to_string(number);
  const auto stat = sys::ReadProcessStat(number);
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
  return ready > 0 ? Status() : Status(StillThere(file.pid));
}

Status EndByForce(Deletion& deletion) {
  if (!deletion.force) return {};
  const Result<StateFile> file = ReadStateFile(deletion.paths);
  return file.has_value() ? EndProcesses(*file) : Status();
}

// The state is damaged: what config.json says of the cgroup, in which all processes are.
StateFile Guess(const Deletion& deletion, const Error& why) {
  const Runtime& runtime = deletion.runtime;
  if (runtime.warn) runtime.warn(why.message + ": its cgroup is taken from config.json");
  StateFile file;
  file.id = std::filesystem::path(deletion.paths.directory).filename();
  const auto host = ReadCgroupHost();
  const auto spec = ReadConfigCopy(deletion.paths);
  if (!host.has_value() || !spec.has_value()) return file;
  file.has_poststop = !spec->hooks.poststop.empty();
  const auto plan = PlanCgroup(*host, *spec, file.id, true);
  if (plan.has_value()) file.cgroup = plan->Directory();
  return file;
}

Status TakeStopped(Deletion& deletion) {
  deletion.lock = TRY(LockState(deletion.paths));
  Result<StateFile> file = ReadStateFile(deletion.paths);
  if (!file.has_value() && file.error().code == Code::kNotFound) return {};
  if (!file.has_value() && !deletion.force) return file.error();
  if (!file.has_value()) file = Guess(deletion, file.error());
  deletion.file = std::move(*file);
  const oci::ContainerStatus status = DeriveStatus(deletion.paths, *deletion.file);
  if (!deletion.force &&
      (status == oci::ContainerStatus::kRunning || status == oci::ContainerStatus::kPaused))
    return Error{
        Code::kWrongState, EBUSY,
        "cannot delete a container that is not stopped: " + std::string(oci::StatusName(status))};
  if (deletion.file->has_poststop) deletion.spec = ReadConfigCopy(deletion.paths);
  return {};
}

// A cgroup that can be removed has no process: then there is nobody to end.
Status EndAll(Deletion& deletion) {
  if (!deletion.file) return {};
  const bool gone = !IsAlive(*deletion.file) && !deletion.file->cgroup.empty() &&
                    ::rmdir(deletion.file->cgroup.c_str()) == 0;
  return gone ? Status() : EndProcesses(*deletion.file);
}

// A scope without processes ends by itself: that systemd cannot be asked is no reason to keep the
// container.
Status StopItsUnit(Deletion& deletion) {
  if (!deletion.file || deletion.file->systemd_unit.empty()) return {};
  const Status stopped =
      StopUnit({.name = deletion.file->systemd_unit, .user_manager = deletion.file->user_manager});
  if (!stopped.has_value() && deletion.runtime.warn) deletion.runtime.warn(stopped.error().message);
  return {};
}

// What keeps it busy is a process that does not die.
Status RemoveItsCgroup(Deletion& deletion) {
  if (!deletion.file || deletion.file->cgroup.empty()) return {};
  const Status removed = RemoveCgroup(deletion.file->cgroup);
  if (!removed.has_value()) {
    const auto pids = CgroupPids(deletion.file->cgroup);
    if (removed.error().errnum != EBUSY || !pids.has_value() || pids->empty()) return removed;
    return StillThere(pids->front());
  }
  UndoMakeCgroup(deletion.file->cgroup_created);
  return {};
}

Status RemoveRdt(Deletion& deletion) {
  if (!deletion.file || deletion.file->rdt_deleted.empty()) return {};
  const auto resctrl = OpenRdt(deletion.file->rdt_mount);
  // Unmounted since: the groups went with the mount.
  return resctrl.has_value() ? RemoveRdtGroups(resctrl->get(), deletion.file->rdt_deleted)
                             : Status();
}

// Nearly always there are these files alone.
Status RemoveState(Deletion& deletion) {
  const StatePaths& paths = deletion.paths;
  for (const std::string* file : {&paths.state, &paths.config, &paths.start_socket})
    ::unlink(file->c_str());
  return ::rmdir(paths.directory.c_str()) == 0 ? Status() : RemoveTree(paths.directory);
}

// config.md#poststop: a failing hook is a warning, and the next one runs.
Status RunPoststop(Deletion& deletion) {
  if (!deletion.spec.has_value()) {
    if (deletion.runtime.warn)
      deletion.runtime.warn("poststop hooks cannot run: " + deletion.spec.error().message);
    return {};
  }
  if (!deletion.file) return {};
  const oci::State state = ToOciState(*deletion.file, oci::ContainerStatus::kStopped);
  for (const oci::Hook& hook : deletion.spec->hooks.poststop) {
    const Status run = RunHooks({hook}, "poststop", state);
    if (!run.has_value() && deletion.runtime.warn) deletion.runtime.warn(run.error().message);
  }
  return {};
}

constexpr Step<Deletion> kDeleteSteps[] = {
    {"end-by-force", "write(2), pidfd_send_signal(2), poll(2)", "-",
     "Before the lock is taken: a creation or a start that hangs in a hook holds it.", EndByForce},
    {"take-stopped", "flock(2), open(2)", "runtime.md#delete",
     "A container that runs is deleted by force only.", TakeStopped},
    {"end-processes", "write(2), pidfd_send_signal(2), poll(2)", "runtime.md#delete",
     "Also one that only waits for `start`, and whatever is left in the cgroup.", EndAll},
    {"stop-unit", "posix_spawn(3)", "-",
     "Where systemd made the cgroup, it forgets the unit, also one that has failed.", StopItsUnit},
    {"remove-cgroup", "rmdir(2)", "runtime.md#delete",
     "With the directories above it that were made for it, if nobody else uses them.",
     RemoveItsCgroup},
    {"remove-rdt-group", "unlinkat(2)", "config-linux.md#intelrdt",
     "Only what `create` made, and never the group of a given closID.", RemoveRdt},
    {"remove-state", "unlinkat(2)", "runtime.md#delete",
     "From here on the id is free; mounts and namespaces went with the processes.", RemoveState},
    {"run-poststop-hooks", "posix_spawn(3)", "config.md#poststop",
     "After all is gone; a hook that fails is a warning.", RunPoststop},
};

Status DeleteUnnamed(const Runtime& runtime, const std::string& id, bool force) {
  TRY(ValidateId(id));
  Deletion deletion{.runtime = runtime, .paths = PathsOf(runtime.root, id), .force = force};
  Status deleted = RunSteps(DeleteSteps(), deletion, runtime.observer);
  if (force && !deleted.has_value() && deleted.error().code == Code::kNotFound) return {};
  return deleted;
}

}  // namespace

std::span<const Step<Deletion>> DeleteSteps() { return kDeleteSteps; }

Status Delete(const Runtime& runtime, const std::string& id, bool force) {
  return Named("delete", id, DeleteUnnamed(runtime, id, force));
}

}  // namespace coracle::runtime
