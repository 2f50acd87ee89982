// StartContainer.
#include <mutex>

#include "container_end.h"
#include "describe.h"
#include "grpc_status.h"
#include "rpcs.h"
#include "task.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::minutes kTurnTimeout{2};
constexpr std::int32_t kStartErrorCode = 128;  // containerd's; kubelet shows it as StartError

std::string_view StateName(v1::ContainerState state) {
  switch (state) {
    case v1::CONTAINER_CREATED:
      return "created";
    case v1::CONTAINER_RUNNING:
      return "running";
    case v1::CONTAINER_EXITED:
      return "exited";
    default:
      return "unknown";
  }
}

// The program could not be started: that is how this container ended.
void RecordStartError(Daemon& daemon, Container& container, const std::string& message) {
  LogFailure(daemon, "record the failed start of " + container.id,
             container.Change(*daemon.database, [&](ContainerRecord& record) {
               if (record.finished_at_ns == 0) record.finished_at_ns = NowUnixNs();
               record.exit_code = kStartErrorCode;
               record.reason = "StartError";
               record.message = ToUtf8(message);
               record.pid = 0;
             }));
  LogFailure(daemon, "clean up after " + container.id, CleanUpContainer(daemon, container));
  SendEvent(daemon, v1::CONTAINER_STOPPED_EVENT, container.Read());
}

}  // namespace

namespace rpc {

Result<v1::StartContainerResponse> StartContainer(Daemon& daemon,
                                                  const v1::StartContainerRequest& request,
                                                  const Call&) {
  const auto container = TRY(FindContainer(daemon, request.container_id()));
  const std::unique_lock turn(container->lifecycle, After(kTurnTimeout));
  if (!turn.owns_lock()) {
    return Error{Code::kWrongState, kDeadlinePassed,
                 "container " + container->id + " is busy with another request"};
  }
  const ContainerRecord record = container->Read();
  const std::shared_ptr<shim::Client> client = container->shim.Get();
  if (container->removed || record.State() != v1::CONTAINER_CREATED || client == nullptr) {
    return Error{Code::kWrongState, 0,
                 "start container " + container->id + ": it is " +
                     std::string(StateName(record.State())) + ", expected created"};
  }
  const auto sandbox = daemon.sandboxes.Find(record.sandbox_id);
  if (sandbox == nullptr || !sandbox->Read().Ready()) {
    return Error{Code::kWrongState, 0,
                 "start container " + container->id + ": its pod sandbox is not ready"};
  }
  const std::lock_guard telling(container->telling);
  const std::int64_t started_at_ns = NowUnixNs();
  const Result<pid_t> started = client->Start(container->id, "", After(kShimTimeout));
  if (!started.has_value()) {
    RecordStartError(daemon, *container, started.error().message);
    return started.error();
  }
  TRY(container->Change(*daemon.database, [&](ContainerRecord& changed) {
    changed.started_at_ns = started_at_ns;
    if (changed.finished_at_ns == 0) changed.pid = *started;
  }));
  SendEvent(daemon, v1::CONTAINER_STARTED_EVENT, container->Read());
  return v1::StartContainerResponse();
}

}  // namespace rpc
}  // namespace coracle::cri
