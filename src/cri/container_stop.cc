// StopContainer and RemoveContainer.
#include "container_end.h"
#include "coracle/sys/process.h"
#include "describe.h"
#include "rpcs.h"
#include "task.h"

namespace coracle::cri {
namespace {

bool Exited(const ContainerRecord& record) { return record.finished_at_ns != 0; }

// No turn is taken: a second call with a shorter time must be able to overtake the first.
Status Stop(Daemon& daemon, Container& container, std::int64_t timeout_s) {
  const ContainerRecord record = container.Read();
  if (Exited(record)) return {};
  const std::shared_ptr<shim::Client> client = container.shim.Get();
  if (timeout_s > 0 && record.State() == v1::CONTAINER_RUNNING && client != nullptr) {
    const int signal = TRY(sys::SignalNumber(record.stop_signal));
    // It may end at this moment by itself: what counts is whether it ends.
    (void)client->Kill(container.id, "", signal, false, After(kShimTimeout));
    constexpr std::int64_t kLongest_s = 365L * 24 * 3600;
    if (container.WaitUntil(After(std::chrono::seconds(std::min(timeout_s, kLongest_s))), Exited)) {
      return {};
    }
  }
  return KillContainer(daemon, container);
}

}  // namespace

namespace rpc {

Result<v1::StopContainerResponse> StopContainer(Daemon& daemon,
                                                const v1::StopContainerRequest& request,
                                                const Call&) {
  const std::shared_ptr<Container> container = daemon.containers.Find(request.container_id());
  if (container == nullptr) return v1::StopContainerResponse();
  if (request.timeout() < 0) {
    return Error{Code::kInvalidConfig, 0, "/timeout: expected 0 (kill at once) or more seconds"};
  }
  const auto stopped = Stop(daemon, *container, request.timeout());
  if (!stopped.has_value()) return Within("stop container " + container->id, stopped.error());
  return v1::StopContainerResponse();
}

Result<v1::RemoveContainerResponse> RemoveContainer(Daemon& daemon,
                                                    const v1::RemoveContainerRequest& request,
                                                    const Call&) {
  const std::shared_ptr<Container> container = daemon.containers.Find(request.container_id());
  if (container == nullptr) return v1::RemoveContainerResponse();
  const auto removed = RemoveOneContainer(daemon, *container);
  if (!removed.has_value()) return Within("remove container " + container->id, removed.error());
  return v1::RemoveContainerResponse();
}

}  // namespace rpc
}  // namespace coracle::cri
