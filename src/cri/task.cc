#include "task.h"

#include <unistd.h>

#include <csignal>
#include <future>

#include "grpc_status.h"

namespace coracle::cri {
namespace {
constexpr std::chrono::seconds kKillTimeout{10};  // from SIGKILL to the end
}

Result<shim::ExitStatus> WaitForExit(shim::Client& client, const std::string& id,
                                     const std::string& exec_id, SteadyTime deadline) {
  // Shared: the answer may come after we have stopped waiting.
  auto ended = std::make_shared<std::promise<Result<shim::ExitStatus>>>();
  auto end = ended->get_future();
  client.Wait(id, exec_id,
              [ended](Result<shim::ExitStatus> status) { ended->set_value(std::move(status)); });
  if (end.wait_until(deadline) == std::future_status::ready) return end.get();
  return Error{Code::kKernel, kDeadlinePassed, "process of " + id + " did not end in time"};
}

Result<shim::ExitStatus> EndTask(Daemon& daemon, const std::string& id, const std::string& bundle,
                                 const std::shared_ptr<shim::Client>& client) {
  if (client != nullptr) {
    const auto state = client->State(id, "", After(kShimTimeout));
    if (state.has_value() && state->status != shim::TaskStatus::kStopped) {
      (void)client->Kill(id, "", SIGKILL, true, After(kShimTimeout));
      (void)WaitForExit(*client, id, "", After(kKillTimeout));
    }
    Result<shim::ExitStatus> deleted = client->Delete(id, "", After(kShimTimeout));
    if (deleted.has_value() || deleted.error().code == Code::kNotFound) {
      (void)client->Shutdown(id, After(kShimTimeout));
      if (deleted.has_value()) return deleted;
    }
  }
  if (::access(bundle.c_str(), F_OK) != 0) return shim::ExitStatus{};
  Result<shim::ExitStatus> deleted =
      daemon.shim.delete_after(MakeLaunchOptions(daemon, id, bundle));
  if (!deleted.has_value() && deleted.error().code == Code::kNotFound) return shim::ExitStatus{};
  return deleted;
}

Status EndStrayTask(Daemon& daemon, const std::string& id, const std::string& bundle) {
  if (::access((bundle + "/config.json").c_str(), F_OK) != 0) return {};  // never came so far
  std::shared_ptr<shim::Client> client;
  if (Result<std::unique_ptr<shim::Client>> found = daemon.shim.reconnect(bundle)) {
    client = *std::move(found);
  }
  TRY(EndTask(daemon, id, bundle, client));
  return {};
}

}  // namespace coracle::cri
