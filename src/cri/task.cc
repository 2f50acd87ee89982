#include "task.h"

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <future>
#include <thread>

#include "coracle/base/file.h"
#include "grpc_status.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::seconds kKillTimeout{10};  // from SIGKILL to the end

// The processes of a shim's program that were started for `id`; its command line names it.
std::vector<pid_t> ShimProcesses(const std::string& program, const std::string& id) {
  using namespace std::string_literals;
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string arguments = ReadFile("/proc/" + name + "/cmdline").value_or("");
    if (arguments.starts_with(program + "\0"s) &&
        arguments.find("\0-id\0"s + id + "\0"s) != std::string::npos) {
      pids.push_back(std::atoi(name.c_str()));
    }
  }
  return pids;
}

// A daemon that was killed while it started a shim left a process that nobody has the address of
// yet, or one that goes on to create the container; and a shim keeps a task that `<shim> delete`
// took away behind its back. Two looks in a row must find nothing: a process that ended during the
// first may have forked one that it did not show, and one that executes the shim has no name yet.
void KillShim(const std::string& program, const std::string& id) {
  constexpr int kMostRounds = 50;
  for (int round = 0, empty = 0; round < kMostRounds && empty < 2; ++round) {
    if (round > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const std::vector<pid_t> pids = ShimProcesses(program, id);
    empty = pids.empty() ? empty + 1 : 0;
    for (const pid_t pid : pids) ::kill(pid, SIGKILL);
  }
}

// For a shim that we lost, that does not obey, or that a crash of ours left.
Result<shim::ExitStatus> EndStrayTask(Daemon& daemon, const std::string& id,
                                      const std::string& bundle) {
  // Without it no shim was started yet.
  if (::access((bundle + "/config.json").c_str(), F_OK) != 0) return shim::ExitStatus{};
  KillShim(daemon.shim_binary, id);
  Result<shim::ExitStatus> deleted =
      daemon.shim.delete_after(MakeLaunchOptions(daemon, id, bundle));
  if (!deleted.has_value() && deleted.error().code == Code::kNotFound) return shim::ExitStatus{};
  return deleted;
}

}  // namespace

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
  return EndStrayTask(daemon, id, bundle);
}

Status RemoveCgroupDirectory(const Daemon& daemon, const std::string& cgroups_path) {
  if (cgroups_path.empty()) return {};
  const std::string path = daemon.host.cgroup_mount + cgroups_path;
  // Processes that were killed just now may still be on their way out.
  for (int attempt = 0; ::rmdir(path.c_str()) != 0; ++attempt) {
    constexpr int kAttempts = 100;
    if (errno == ENOENT) return {};
    if (errno != EBUSY || attempt == kAttempts) return KernelError("rmdir(2) " + path);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return {};
}

}  // namespace coracle::cri
