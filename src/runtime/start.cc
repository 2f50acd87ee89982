// start: runtime.md#start. The container process waits; we connect, and hear how it ends.
#include "start.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coracle/base/id.h"
#include "coracle/sys/socket.h"
#include "create.h"
#include "hooks.h"
#include "launch.h"
#include "loaded.h"
#include "sync.h"

namespace coracle::runtime {
namespace {

Status CheckCreated(const StatePaths& paths, const StateFile& file) {
  const oci::ContainerStatus status = DeriveStatus(paths, file);
  if (status == oci::ContainerStatus::kCreated) {
    return file.has_process ? Status() : Status(NoProcess());
  }
  if (status == oci::ContainerStatus::kStopped)
    return Error{Code::kWrongState, 0, "cannot start a container that has stopped"};
  return Error{
      Code::kWrongState, 0,
      "cannot start a container in the " + std::string(oci::StatusName(status)) + " state"};
}

Status TakeCreated(Starting& starting) {
  if (starting.connection) return {};  // made by us
  starting.lock = TRY(LockState(starting.paths));
  starting.file = TRY(ReadStateFile(starting.paths));
  return CheckCreated(starting.paths, starting.file);
}

// Connected: from this moment the container counts as started, whatever becomes of us.
Status Connect(Starting& starting) {
  if (starting.connection) {
    const Status told = SendSync(starting.connection.get(), SyncKind::kCreated);
    return told.has_value() ? told : Status(LastWordOf(starting.connection.get(), told.error()));
  }
  Result<UniqueFd> connection =
      sys::ConnectUnix(starting.paths.start_socket, SOCK_SEQPACKET, starting.trace.has_value());
  ::unlink(starting.paths.start_socket.c_str());
  starting.connection = TRY(std::move(connection));
  if (!starting.trace) return {};
  return SendSync(starting.connection.get(), SyncKind::kTrace, starting.trace->fd());
}

Status AwaitProgram(Starting& starting) {
  const Status finished =
      FinishExecve(starting.connection.get(), starting.paths,
                   ToOciState(starting.file, oci::ContainerStatus::kCreated), starting.file.pid);
  if (starting.trace) starting.trace->Report("container", starting.runtime.observer);
  return finished;
}

Status RunPoststart(Starting& starting) {
  if (!starting.file.has_poststart) return {};
  const oci::Spec spec = TRY(ReadConfigCopy(starting.paths));
  Status run = RunHooks(spec.hooks.poststart, "poststart",
                        ToOciState(starting.file, oci::ContainerStatus::kRunning));
  if (!run.has_value()) (void)Kill(starting.runtime, starting.file.id, SIGKILL, true);
  return run;
}

constexpr Step<Starting> kStartSteps[] = {
    {"take-created", "flock(2), open(2)", "runtime.md#start",
     "Only a container that is `created` can start, and only once.", TakeCreated},
    {"connect", "connect(2), unlink(2)", "runtime.md#start",
     "The container process waits for this; from here on it counts as started.", Connect},
    {"await-program", "recvmsg(2)", "runtime.md#start",
     "execve(2) has worked, or the Error of the process is ours.", AwaitProgram},
    {"run-poststart-hooks", "posix_spawn(3)", "config.md#poststart",
     "The program runs already; a hook that fails ends the container.", RunPoststart},
};

Status StartUnnamed(const Runtime& runtime, const std::string& id) {
  TRY(ValidateId(id));
  Starting starting{.runtime = runtime, .paths = PathsOf(runtime.root, id)};
  if (runtime.observer.done) starting.trace.emplace(TRY(TraceMemory::Make()));
  return RunSteps(StartSteps(), starting, runtime.observer);
}

}  // namespace

std::span<const Step<Starting>> StartSteps() { return kStartSteps; }

Status Start(const Runtime& runtime, const std::string& id) {
  return Named("start", id, StartUnnamed(runtime, id));
}

Result<pid_t> Run(const Runtime& runtime, const CreateOptions& options,
                  const std::function<Status(const oci::State&)>& before_start) {
  Starting starting{.runtime = runtime, .paths = PathsOf(runtime.root, options.id)};
  Status started;
  TRY(CreateToStart(runtime, options, [&](Startable created) {
    started = before_start(ToOciState(created.file, oci::ContainerStatus::kCreated));
    starting.lock = std::move(created.lock);
    starting.file = std::move(created.file);
    starting.connection = std::move(created.sync);
    if (started.has_value())
      started = Named("start", options.id, RunSteps(StartSteps(), starting, runtime.observer));
  }));
  if (started.has_value()) return starting.file.pid;
  starting.lock.reset();
  const Status deleted = Delete(runtime, options.id, true);
  if (!deleted.has_value() && runtime.warn) runtime.warn(deleted.error().message);
  return started.error();
}

}  // namespace coracle::runtime
