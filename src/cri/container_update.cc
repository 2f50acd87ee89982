// UpdateContainerResources and ReopenContainerLog.
#include <mutex>

#include "describe.h"
#include "grpc_status.h"
#include "rpcs.h"
#include "spec_resources.h"
#include "task.h"

namespace coracle::cri {
namespace {
constexpr std::chrono::minutes kTurnTimeout{2};
}

namespace rpc {

Result<v1::UpdateContainerResourcesResponse> UpdateContainerResources(
    Daemon& daemon, const v1::UpdateContainerResourcesRequest& request, const Call&) {
  const auto container = TRY(FindContainer(daemon, request.container_id()));
  const std::unique_lock turn(container->lifecycle, After(kTurnTimeout));
  if (!turn.owns_lock()) {
    return Error{Code::kWrongState, kDeadlinePassed,
                 "container " + container->id + " is busy with another request"};
  }
  const ContainerRecord record = container->Read();
  const std::shared_ptr<shim::Client> client = container->shim.Get();
  if (container->removed || record.State() == v1::CONTAINER_EXITED || client == nullptr) {
    return Error{Code::kWrongState, 0,
                 "update container " + container->id + ": it has exited, expected it to run"};
  }
  const oci::Resources change = TRY(MakeResources(request.linux(), "/linux"));
  TRY(client->Update(container->id, change, After(kShimTimeout)));
  TRY(container->Change(*daemon.database, [&](ContainerRecord& changed) {
    auto config = std::make_shared<v1::ContainerConfig>(*changed.config);
    *config->mutable_linux()->mutable_resources() =
        MergeResources(config->linux().resources(), request.linux());
    for (const auto& [key, value] : request.annotations()) {
      (*config->mutable_annotations())[key] = value;
    }
    changed.config = std::move(config);
  }));
  return v1::UpdateContainerResourcesResponse();
}

Result<v1::ReopenContainerLogResponse> ReopenContainerLog(
    Daemon& daemon, const v1::ReopenContainerLogRequest& request, const Call&) {
  const auto container = TRY(FindContainer(daemon, request.container_id()));
  const std::shared_ptr<shim::Client> client = container->shim.Get();
  if (container->Read().State() != v1::CONTAINER_RUNNING || client == nullptr) {
    return Error{Code::kWrongState, 0,
                 "reopen the log of container " + container->id + ": it is not running"};
  }
  const auto reopened = client->ReopenLog(container->id, After(kShimTimeout));
  if (!reopened.has_value()) {
    return Within("reopen the log of container " + container->id, reopened.error());
  }
  return v1::ReopenContainerLogResponse();
}

}  // namespace rpc
}  // namespace coracle::cri
