#include "sandbox_run.h"

#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "describe.h"
#include "rpcs.h"
#include "sandbox_parts.h"
#include "text.h"
#include "validate.h"

namespace coracle::cri {
namespace {

void Undone(SandboxRun& run, const char* step, const Status& status) {
  LogFailure(run.daemon, std::string("undo ") + step, status);
  run.leftovers = run.leftovers || !status.has_value();
}

Status WriteRecord(SandboxRun& run) { return run.daemon.database->Put(run.record); }

void RemoveRecord(SandboxRun& run) noexcept {
  if (run.leftovers) return;
  Undone(run, "write-record", run.daemon.database->RemoveSandbox(run.record.id));
}

Status MakeSandboxDirectory(SandboxRun& run) { return MakeDirectories(run.paths.Namespaces()); }

void RemoveSandboxDirectory(SandboxRun& run) noexcept {
  Undone(run, "make-directory", RemoveSandboxFiles(run.daemon, run.record));
}

Status PinNamespaces(SandboxRun& run) { return PinSandboxNamespaces(run.daemon, run.record); }

void UnpinNamespaces(SandboxRun& run) noexcept {
  Undone(run, "pin-namespaces", UnpinSandboxNamespaces(run.paths));
}

Status AddNetwork(SandboxRun& run) { return AttachNetwork(run.daemon, run.record); }

void RemoveNetwork(SandboxRun& run) noexcept {
  Undone(run, "add-network", DetachNetwork(run.daemon, run.record));
}

Status MountSharedMemory(SandboxRun& run) { return MountShm(run.record, run.paths); }

void UnmountSharedMemory(SandboxRun& run) noexcept {
  Undone(run, "mount-shm", UnmountShm(run.paths));
}

Status WriteFiles(SandboxRun& run) { return WritePodFiles(run.record, run.paths); }

Status StartPidParent(SandboxRun& run) {
  run.pause = TRY(StartPause(run.daemon, run.record));
  return {};
}

void StopPidParent(SandboxRun& run) noexcept {
  Undone(run, "start-pid-parent", StopPause(run.daemon, run.record.id, run.pause));
}

Status MarkReady(SandboxRun& run) {
  run.record.ready_at_ns = NowUnixNs();
  return run.daemon.database->Put(run.record);
}

constexpr Step<SandboxRun> kSteps[] = {
    {"write-record", "-", "-",
     "Recovery must know of the sandbox before anything outside the daemon does.", WriteRecord,
     RemoveRecord, "deletes it", UndoAfter::kAttempt},
    {"make-directory", "mkdir(2)", "-", "Everything of the sandbox lies in one place.",
     MakeSandboxDirectory, RemoveSandboxDirectory, "removes it", UndoAfter::kAttempt},
    {"pin-namespaces", "unshare(2), mount(2)", "-",
     "A bind mount keeps a namespace without a process in it.", PinNamespaces, UnpinNamespaces,
     "unmounts and removes the files", UndoAfter::kAttempt},
    {"add-network", "-", "CNI SPEC.md#add",
     "The plugins give the pod its interface; a failed ADD may have left part of it.", AddNetwork,
     RemoveNetwork, "CNI DEL", UndoAfter::kAttempt},
    {"mount-shm", "mount(2)", "-", "Containers of a pod share /dev/shm, as they share IPC.",
     MountSharedMemory, UnmountSharedMemory, "unmounts it"},
    {"write-files", "-", "-", "hosts needs the address that the network gave.", WriteFiles},
    {"start-pid-parent", "clone3(2)", "-", "Only a shared PID namespace needs a process: its init.",
     StartPidParent, StopPidParent, "ends its shim", UndoAfter::kAttempt},
    {"mark-ready", "-", "-", "From here on the sandbox exists for others.", MarkReady},
};

Result<std::string> Run(Daemon& daemon, const v1::RunPodSandboxRequest& request,
                        const std::string& id) {
  SandboxRun run{.daemon = daemon, .record = {}, .paths = daemon.paths.Sandbox(id)};
  run.record.id = id;
  run.record.config = std::make_shared<const v1::PodSandboxConfig>(request.config());
  run.record.runtime_handler = request.runtime_handler();
  run.record.boot_id = daemon.host.boot_id;
  run.record.created_at_ns = NowUnixNs();
  TRY(RunSteps(SandboxSteps(), run, daemon.observer));
  auto sandbox = std::make_shared<Sandbox>(run.record);
  sandbox->pause.Set(run.pause);
  daemon.sandboxes.Add(sandbox);
  WatchPause(daemon, *sandbox);
  SendEvent(daemon, v1::CONTAINER_CREATED_EVENT, run.record);
  SendEvent(daemon, v1::CONTAINER_STARTED_EVENT, run.record);
  return id;
}

}  // namespace

std::span<const Step<SandboxRun>> SandboxSteps() { return kSteps; }

std::string SandboxName(const v1::PodSandboxMetadata& metadata) {
  return metadata.name() + "_" + metadata.namespace_() + "_" + metadata.uid() + "_" +
         std::to_string(metadata.attempt());
}

Status StopSandboxParts(Daemon& daemon, const SandboxRecord& record,
                        const std::shared_ptr<shim::Client>& pause) {
  const SandboxPaths paths = daemon.paths.Sandbox(record.id);
  TRY(StopPause(daemon, record.id, pause));
  TRY(UnmountShm(paths));
  TRY(DetachNetwork(daemon, record));
  return UnpinSandboxNamespaces(paths);
}

Status DestroySandbox(Daemon& daemon, const SandboxRecord& record) {
  TRY(StopSandboxParts(daemon, record, nullptr));
  TRY(RemoveSandboxFiles(daemon, record));
  return daemon.database->RemoveSandbox(record.id);
}

namespace rpc {

Result<v1::RunPodSandboxResponse> RunPodSandbox(Daemon& daemon,
                                                const v1::RunPodSandboxRequest& request,
                                                const Call& call) {
  TRY(ValidatePod(request.config()));
  const std::string& handler = request.runtime_handler();
  if (!handler.empty() && handler != "coracle") {
    return Error{Code::kInvalidConfig, 0,
                 "/runtime_handler: \"" + ToUtf8(handler) + "\": expected \"\" or \"coracle\""};
  }
  const std::string name = SandboxName(request.config().metadata());
  const std::string id = RandomHex();
  v1::RunPodSandboxResponse response;
  if (auto made = TRY(daemon.sandbox_names.Reserve(name, id, call.cancelled))) {
    response.set_pod_sandbox_id(*made);
    return response;
  }
  Result<std::string> result = Run(daemon, request, id);
  if (!result.has_value()) {
    daemon.sandbox_names.Release(name, id);
    return Within("run pod " + name, std::move(result).error());
  }
  daemon.sandbox_names.Finish(name, !call.cancelled());
  response.set_pod_sandbox_id(id);
  return response;
}

}  // namespace rpc
}  // namespace coracle::cri
