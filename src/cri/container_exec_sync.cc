// ExecSync: a command in a running container, its output and its exit code.
#include <sys/eventfd.h>

#include <csignal>

#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "describe.h"
#include "exec_output.h"
#include "grpc_status.h"
#include "rpcs.h"
#include "task.h"

namespace coracle::cri {
namespace {

// After the command's end, for what it left behind with its output still open.
constexpr std::chrono::seconds kDrainTimeout{2};
constexpr std::chrono::milliseconds kPollGone{500};

// The exit, told by the shim's reader thread, waited for together with the output.
struct Exit {
  std::mutex mutex;
  std::optional<Result<shim::ExitStatus>> status;
  UniqueFd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

  std::optional<Result<shim::ExitStatus>> Get() {
    const std::lock_guard lock(mutex);
    return status;
  }
};

Result<oci::Process> MakeProcess(const Daemon& daemon, const std::string& id,
                                 const v1::ExecSyncRequest& request) {
  const std::string path = daemon.paths.Container(id).Bundle() + "/config.json";
  oci::Spec spec = TRY(oci::ParseSpec(TRY(ReadFile(path)), path));
  oci::Process process = *std::move(spec.process);
  process.terminal = false;
  process.args = {request.cmd().begin(), request.cmd().end()};
  return process;
}

// When the command has to end: at its deadline, or when nobody waits for it any more.
struct Patience {
  SteadyTime deadline;
  const Call& call;
};

// Waits for output and exit. ETIME, ECANCELED: the command still runs.
Result<shim::ExitStatus> Collect(ExecOutput& output, Exit& exit, const Patience& patience) {
  const auto& [deadline, call] = patience;
  for (;;) {
    const SteadyTime next = std::min(deadline, After(kPollGone));
    TRY(output.Read(exit.event.get(), next));
    if (const auto status = exit.Get()) {
      TRY(output.Read(-1, After(kDrainTimeout)));
      return *status;
    }
    if (call.cancelled()) return Error{Code::kKernel, kCallerGone, "the caller gave up"};
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{Code::kKernel, kDeadlinePassed, "the command did not end in time: killed"};
    }
  }
}

Result<shim::ExitStatus> Run(shim::Client& client, const shim::ExecRequest& exec,
                             ExecOutput& output, const Patience& patience) {
  const Status asked = client.Exec(exec, After(kShimTimeout));
  if (!asked.has_value()) return Within("exec in container " + exec.id, asked.error());
  auto exit = std::make_shared<Exit>();
  Result<shim::ExitStatus> result = Error{Code::kKernel, 0, ""};
  const Result<pid_t> started = client.Start(exec.id, exec.exec_id, After(kShimTimeout));
  if (started.has_value()) {
    client.Wait(exec.id, exec.exec_id, [exit](Result<shim::ExitStatus> status) {
      const std::lock_guard lock(exit->mutex);
      exit->status = std::move(status);
      (void)::eventfd_write(exit->event.get(), 1);
    });
    result = Collect(output, *exit, patience);
    if (!exit->Get()) {
      (void)client.Kill(exec.id, exec.exec_id, SIGKILL, false, After(kShimTimeout));
      (void)WaitForExit(client, exec.id, exec.exec_id, After(kShimTimeout));
      // Our own error; the runtime's name the container already.
      if (!result.has_value()) result = Within("exec in container " + exec.id, result.error());
    }
  } else {
    result = started.error();
  }
  (void)client.Delete(exec.id, exec.exec_id, After(kShimTimeout));
  return result;
}

}  // namespace

namespace rpc {

Result<v1::ExecSyncResponse> ExecSync(Daemon& daemon, const v1::ExecSyncRequest& request,
                                      const Call& call) {
  if (request.cmd().empty()) return Error{Code::kInvalidConfig, 0, "/cmd: required, but missing"};
  if (request.timeout() < 0) return Error{Code::kInvalidConfig, 0, "/timeout: expected 0 or more"};
  const auto container = TRY(FindContainer(daemon, request.container_id()));
  const std::shared_ptr<shim::Client> client = container->shim.Get();
  if (container->Read().State() != v1::CONTAINER_RUNNING || client == nullptr) {
    return Error{Code::kWrongState, 0,
                 "exec in container " + container->id + ": it is not running"};
  }
  shim::ExecRequest exec;
  exec.id = container->id;
  exec.exec_id = RandomHex(8);
  exec.process = TRY(MakeProcess(daemon, container->id, request));
  const std::string dir = daemon.paths.Container(container->id).Exec();
  TRY(MakeDirectories(dir, 0700));
  ExecOutput output = TRY(ExecOutput::Open(dir + "/" + exec.exec_id));
  exec.stdio.stdout_uri = output.Path(0);
  exec.stdio.stderr_uri = output.Path(1);
  constexpr std::chrono::hours kForEver{24 * 365};
  const SteadyTime deadline =
      request.timeout() > 0 ? After(std::chrono::seconds(request.timeout())) : After(kForEver);
  const auto status = Run(*client, exec, output, {deadline, call});
  if (!status.has_value()) return status.error();
  v1::ExecSyncResponse response;
  response.set_stdout(output.Take(0));
  response.set_stderr(output.Take(1));
  response.set_exit_code(static_cast<std::int32_t>(status->code));
  return response;
}

}  // namespace rpc
}  // namespace coracle::cri
