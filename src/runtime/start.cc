// start: runtime.md#start. The container process waits; we connect, and hear how it ends.
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coracle/base/id.h"
#include "coracle/runtime/container.h"
#include "coracle/sys/socket.h"
#include "hooks.h"
#include "launch.h"
#include "loaded.h"

namespace coracle::runtime {
namespace {

Status CheckCreated(const StatePaths& paths, const StateFile& file) {
  const oci::ContainerStatus status = DeriveStatus(paths, file);
  if (status == oci::ContainerStatus::kCreated) {
    if (file.has_process) return {};
    return Error{Code::kInvalidConfig, EINVAL,
                 "/process: required at start, but missing in config.json"};
  }
  if (status == oci::ContainerStatus::kStopped)
    return Error{Code::kWrongState, 0, "cannot start a container that has stopped"};
  return Error{
      Code::kWrongState, 0,
      "cannot start a container in the " + std::string(oci::StatusName(status)) + " state"};
}

// Connected: from this moment the container counts as started, whatever becomes of us.
Result<UniqueFd> Connect(const StatePaths& paths) {
  Result<UniqueFd> connection = sys::ConnectUnix(paths.start_socket, SOCK_SEQPACKET);
  ::unlink(paths.start_socket.c_str());
  return connection;
}

// config.md#poststart: a failing hook ends the container.
Status RunPoststart(const Runtime& runtime, const StatePaths& paths, const StateFile& file) {
  if (!file.has_poststart) return {};
  const oci::Spec spec = TRY(ReadConfigCopy(paths));
  Status run =
      RunHooks(spec.hooks.poststart, "poststart", ToOciState(file, oci::ContainerStatus::kRunning));
  if (!run.has_value()) (void)Kill(runtime, file.id, SIGKILL, true);
  return run;
}

Status StartUnnamed(const Runtime& runtime, const std::string& id) {
  TRY(ValidateId(id));
  const StatePaths paths = PathsOf(runtime.root, id);
  const UniqueFd lock = TRY(LockState(paths));
  const StateFile file = TRY(ReadStateFile(paths));
  TRY(CheckCreated(paths, file));
  const UniqueFd connection = TRY(Connect(paths));
  TRY(FinishExecve(connection.get(), paths, ToOciState(file, oci::ContainerStatus::kCreated),
                   file.pid));
  return RunPoststart(runtime, paths, file);
}

}  // namespace

Status Start(const Runtime& runtime, const std::string& id) {
  return Named("start", id, StartUnnamed(runtime, id));
}

}  // namespace coracle::runtime
