#include "container_end.h"

#include <csignal>

#include "container_create.h"
#include "coracle/base/file.h"
#include "describe.h"
#include "grpc_status.h"
#include "task.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::seconds kKillTimeout{30};
constexpr std::chrono::minutes kTurnTimeout{2};
constexpr std::int32_t kUnknownExit = 255;

// The connection to the shim is gone, and nobody said how the container ended: look for a shim that
// still lives, for its record of the end, and last let the shim's program clean up.
void HandleLostShim(Daemon& daemon, Container& container) {
  const std::string bundle = daemon.paths.Container(container.id).Bundle();
  if (Result<std::unique_ptr<shim::Client>> again = daemon.shim.reconnect(bundle)) {
    container.shim.Set(std::move(*again));
    WatchContainer(daemon, container);
    return;
  }
  container.shim.Set(nullptr);
  Result<shim::ExitStatus> status = shim::ReadExitRecord(bundle);
  if (!status.has_value()) status = EndTask(daemon, container.id, bundle, nullptr);
  if (!status.has_value() || status->exited_at_unix_ns == 0) {
    status = shim::ExitStatus{.code = kUnknownExit,
                              .exited_at_unix_ns = static_cast<std::uint64_t>(NowUnixNs()),
                              .oom_killed = false};
  }
  RecordExit(daemon, container, *status);
}

// With the task ended.
Status RemoveTraces(Daemon& daemon, const ContainerRecord& record) {
  TRY(daemon.images->RemoveSnapshot(SnapshotKey(record.id)));
  TRY(RemoveTree(daemon.paths.Container(record.id).dir));
  return daemon.database->RemoveContainer(record.id);
}

std::string ReasonOf(const shim::ExitStatus& status) {
  if (status.oom_killed) return "OOMKilled";
  return status.code == 0 ? "Completed" : "Error";
}

}  // namespace

std::string SnapshotKey(const std::string& container_id) { return "cri-" + container_id; }

void WatchContainer(Daemon& daemon, const Container& container) {
  const std::shared_ptr<shim::Client> client = container.shim.Get();
  if (client == nullptr) return;
  // By id: the connection must not own what owns it.
  client->Wait(container.id, "", [&daemon, id = container.id](Result<shim::ExitStatus> status) {
    daemon.exits.Post([&daemon, id, status = std::move(status)] {
      const std::shared_ptr<Container> ended = daemon.containers.Find(id);
      if (ended == nullptr || ended->Read().finished_at_ns != 0) return;
      if (status.has_value()) {
        RecordExit(daemon, *ended, *status);
      } else {
        HandleLostShim(daemon, *ended);
      }
    });
  });
}

void RecordExit(Daemon& daemon, Container& container, const shim::ExitStatus& status) {
  bool first = false;
  {
    const std::lock_guard telling(container.telling);
    const Status written = container.Change(*daemon.database, [&](ContainerRecord& record) {
      if (record.finished_at_ns != 0) return;
      first = true;
      record.finished_at_ns = status.exited_at_unix_ns != 0
                                  ? static_cast<std::int64_t>(status.exited_at_unix_ns)
                                  : NowUnixNs();
      record.exit_code = static_cast<std::int32_t>(status.code);
      record.reason = ReasonOf(status);
      record.pid = 0;
    });
    LogFailure(daemon, "record the exit of " + container.id, written);
    if (first) SendEvent(daemon, v1::CONTAINER_STOPPED_EVENT, container.Read());
  }
  if (first)
    LogFailure(daemon, "clean up after " + container.id, CleanUpContainer(daemon, container));
}

Status CleanUpContainer(Daemon& daemon, Container& container) {
  const std::lock_guard turn(container.clean_up);
  if (container.cleaned_up) return {};
  const std::string bundle = daemon.paths.Container(container.id).Bundle();
  TRY(EndTask(daemon, container.id, bundle, container.shim.Get()));
  container.shim.Set(nullptr);
  container.cleaned_up = true;
  return {};
}

Status KillContainer(Daemon& daemon, Container& container) {
  const auto exited = [](const ContainerRecord& record) { return record.finished_at_ns != 0; };
  if (exited(container.Read())) return {};
  const std::shared_ptr<shim::Client> client = container.shim.Get();
  if (client != nullptr) {
    const Status killed = client->Kill(container.id, "", SIGKILL, true, After(kShimTimeout));
    if (container.WaitUntil(After(kKillTimeout), exited)) return {};
    if (!killed.has_value()) return killed.error();
    return Error{Code::kKernel, kDeadlinePassed,
                 "container " + container.id + " does not end, though killed"};
  }
  // No shim to ask: whatever is left is ended by the shim's program.
  const std::string bundle = daemon.paths.Container(container.id).Bundle();
  RecordExit(daemon, container, TRY(EndTask(daemon, container.id, bundle, nullptr)));
  return {};
}

Status DestroyContainer(Daemon& daemon, const ContainerRecord& record) {
  TRY(EndTask(daemon, record.id, daemon.paths.Container(record.id).Bundle(), nullptr));
  // A shim that was killed in the middle of creating knew of its cgroup, and nobody else does.
  TRY(RemoveCgroupDirectory(daemon, record.cgroups_path));
  return RemoveTraces(daemon, record);
}

Status RemoveOneContainer(Daemon& daemon, Container& container) {
  std::unique_lock turn(container.lifecycle, After(kTurnTimeout));
  if (!turn.owns_lock()) {
    return Error{Code::kWrongState, kDeadlinePassed,
                 "container " + container.id + " is busy with another request"};
  }
  if (container.removed) return {};
  TRY(KillContainer(daemon, container));
  TRY(CleanUpContainer(daemon, container));
  const ContainerRecord record = container.Read();
  TRY(RemoveTraces(daemon, record));
  container.removed = true;
  daemon.containers.Remove(container.id);
  daemon.container_names.Release(ContainerName(record), container.id);
  const std::lock_guard telling(container.telling);
  SendEvent(daemon, v1::CONTAINER_DELETED_EVENT, record);
  return {};
}

}  // namespace coracle::cri
