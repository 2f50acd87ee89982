// StopPodSandbox and RemovePodSandbox: idempotent, and never stuck on a part that is gone already.
#include <mutex>

#include "container_end.h"
#include "describe.h"
#include "grpc_status.h"
#include "rpcs.h"
#include "sandbox_parts.h"
#include "sandbox_run.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::minutes kTurnTimeout{2};  // until whoever works on the sandbox is done

Result<std::unique_lock<std::shared_timed_mutex>> TakeTurn(Sandbox& sandbox) {
  std::unique_lock turn(sandbox.lifecycle, After(kTurnTimeout));
  if (turn.owns_lock()) return turn;
  return Error{Code::kWrongState, kDeadlinePassed,
               "pod sandbox " + sandbox.id + " is busy with another request"};
}

// With the turn taken.
Status StopSandbox(Daemon& daemon, Sandbox& sandbox) {
  for (const auto& container : ContainersOf(daemon, sandbox.id)) {
    TRY(KillContainer(daemon, *container));
  }
  const SandboxRecord record = sandbox.Read();
  if (record.stopped_at_ns != 0) return {};
  const std::shared_ptr<shim::Client> pause = sandbox.pause.Get();
  sandbox.pause.Set(nullptr);
  TRY(StopSandboxParts(daemon, record, pause));
  TRY(sandbox.Change(*daemon.database,
                     [](SandboxRecord& changed) { changed.stopped_at_ns = NowUnixNs(); }));
  SendEvent(daemon, v1::CONTAINER_STOPPED_EVENT, sandbox.Read());
  return {};
}

Status RemoveSandbox(Daemon& daemon, Sandbox& sandbox) {
  TRY(StopSandbox(daemon, sandbox));
  for (const auto& container : ContainersOf(daemon, sandbox.id)) {
    TRY(RemoveOneContainer(daemon, *container));
  }
  const SandboxRecord record = sandbox.Read();
  TRY(RemoveSandboxFiles(daemon, record));
  TRY(daemon.database->RemoveSandbox(record.id));
  sandbox.removed = true;
  daemon.sandboxes.Remove(sandbox.id);
  daemon.sandbox_names.Release(SandboxName(record.config->metadata()), sandbox.id);
  SendEvent(daemon, v1::CONTAINER_DELETED_EVENT, record);
  return {};
}

}  // namespace

namespace rpc {

Result<v1::StopPodSandboxResponse> StopPodSandbox(Daemon& daemon,
                                                  const v1::StopPodSandboxRequest& request,
                                                  const Call&) {
  const std::shared_ptr<Sandbox> sandbox = daemon.sandboxes.Find(request.pod_sandbox_id());
  if (sandbox == nullptr) return v1::StopPodSandboxResponse();
  const auto turn = TRY(TakeTurn(*sandbox));
  if (sandbox->removed) return v1::StopPodSandboxResponse();
  const auto stopped = StopSandbox(daemon, *sandbox);
  if (!stopped.has_value()) return Within("stop pod sandbox " + sandbox->id, stopped.error());
  return v1::StopPodSandboxResponse();
}

Result<v1::RemovePodSandboxResponse> RemovePodSandbox(Daemon& daemon,
                                                      const v1::RemovePodSandboxRequest& request,
                                                      const Call&) {
  const std::shared_ptr<Sandbox> sandbox = daemon.sandboxes.Find(request.pod_sandbox_id());
  if (sandbox == nullptr) return v1::RemovePodSandboxResponse();
  const auto turn = TRY(TakeTurn(*sandbox));
  if (sandbox->removed) return v1::RemovePodSandboxResponse();
  const auto removed = RemoveSandbox(daemon, *sandbox);
  if (!removed.has_value()) return Within("remove pod sandbox " + sandbox->id, removed.error());
  return v1::RemovePodSandboxResponse();
}

}  // namespace rpc
}  // namespace coracle::cri
