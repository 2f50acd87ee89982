#include "container_create.h"

#include <sys/stat.h>

#include <filesystem>
#include <shared_mutex>

#include "container_end.h"
#include "container_inputs.h"
#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/base/json.h"
#include "describe.h"
#include "grpc_status.h"
#include "rpcs.h"
#include "sandbox_parts.h"
#include "sandbox_run.h"
#include "spec_resources.h"
#include "task.h"
#include "text.h"
#include "validate.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::minutes kTurnTimeout{2};

void Undone(ContainerCreate& create, const char* step, const Status& status) {
  LogFailure(create.daemon, std::string("undo ") + step, status);
  create.leftovers = create.leftovers || !status.has_value();
}

Status WriteRecord(ContainerCreate& create) { return create.daemon.database->Put(create.record); }

void RemoveRecord(ContainerCreate& create) noexcept {
  if (create.leftovers) return;
  Undone(create, "write-record", create.daemon.database->RemoveContainer(create.record.id));
}

Status MakeBundleDirectory(ContainerCreate& create) {
  return MakeDirectories(create.paths.Bundle() + "/rootfs", 0700);
}

void RemoveBundleDirectory(ContainerCreate& create) noexcept {
  Undone(create, "make-bundle", RemoveTree(create.paths.dir));
}

Status PrepareSnapshot(ContainerCreate& create) {
  create.snapshot =
      TRY(create.daemon.images->Prepare(SnapshotKey(create.record.id), create.image.id));
  return {};
}

void RemoveSnapshot(ContainerCreate& create) noexcept {
  Undone(create, "prepare-snapshot",
         create.daemon.images->RemoveSnapshot(SnapshotKey(create.record.id)));
}

Status WriteSpec(ContainerCreate& create) {
  SpecInput& input = create.input;
  input.id = create.record.id;
  input.sandbox_id = create.pod.id;
  input.config = create.record.config.get();
  input.pod = create.pod.config.get();
  input.image = &create.image.config;
  input.host = &create.daemon.host;
  input.sandbox = create.daemon.paths.Sandbox(create.pod.id);
  input.hostname = PodHostname(*create.pod.config);
  input.cgroups_path = create.record.cgroups_path;
  input.pids_limit = create.daemon.config.pids_limit;
  input.programs_32_bit = create.daemon.config.programs_32_bit;
  TRY(LookIntoImage(create));
  TRY(ResolveMounts(create));
  TRY(ResolveDevices(create));
  TRY(ResolvePidNamespace(create));
  TRY(ReadSeccompProfile(create));
  const oci::Spec spec = TRY(BuildSpec(input));
  return WriteFileAtomically(create.paths.Bundle() + "/config.json", PrintJson(oci::ToJson(spec)));
}

Result<shim::Stdio> MakeStdio(ContainerCreate& create) {
  const v1::ContainerConfig& config = *create.record.config;
  shim::Stdio stdio;
  stdio.terminal = config.tty();
  if (config.stdin()) {
    // Nobody writes yet, and that is no end of file: the shim holds it open.
    stdio.stdin_path = create.paths.Stdin();
    if (::mkfifo(stdio.stdin_path.c_str(), 0600) != 0) {
      return KernelError("mkfifo(3) " + stdio.stdin_path);
    }
  }
  const std::string& log = create.record.log_path;
  if (log.empty()) return stdio;
  TRY(MakeDirectories(std::filesystem::path(log).parent_path()));
  stdio.stdout_uri = "cri-log://" + log;
  if (!config.tty()) stdio.stderr_uri = stdio.stdout_uri;
  return stdio;
}

Status StartShim(ContainerCreate& create) {
  const shim::Stdio stdio = TRY(MakeStdio(create));
  create.shim = TRY(create.daemon.shim.launch(
      MakeLaunchOptions(create.daemon, create.record.id, create.paths.Bundle())));
  create.record.pid = TRY(create.shim->Create({.id = create.record.id,
                                               .bundle = create.paths.Bundle(),
                                               .rootfs = create.snapshot.mounts,
                                               .stdio = stdio},
                                              After(kShimTimeout)));
  return MakeVolumeDirectories(create);
}

void EndShim(ContainerCreate& create) noexcept {
  const auto ended = EndTask(create.daemon, create.record.id, create.paths.Bundle(), create.shim);
  create.shim = nullptr;
  Undone(create, "start-shim", ended.has_value() ? Status() : Status(ended.error()));
}

Status MarkReady(ContainerCreate& create) {
  create.record.ready_at_ns = NowUnixNs();
  return create.daemon.database->Put(create.record);
}

constexpr Step<ContainerCreate> kSteps[] = {
    {"write-record", "-", "-",
     "Recovery must know of the container before anything outside the daemon does.", WriteRecord,
     RemoveRecord, "deletes it", UndoAfter::kAttempt},
    {"make-bundle", "mkdir(2)", "bundle.md", "Where config.json and the root filesystem will be.",
     MakeBundleDirectory, RemoveBundleDirectory, "removes it", UndoAfter::kAttempt},
    {"prepare-snapshot", "-", "-", "A writable layer above the image's.", PrepareSnapshot,
     RemoveSnapshot, "unmounts and removes it", UndoAfter::kAttempt},
    {"write-config", "openat2(2)", "config.md", "Users are looked up in the image's own files.",
     WriteSpec},
    {"start-shim", "clone3(2)", "runtime.md#create",
     "The shim creates the container, which waits for StartContainer.", StartShim, EndShim,
     "deletes the container, ends the shim", UndoAfter::kAttempt},
    {"mark-ready", "-", "-", "From here on the container exists for others.", MarkReady},
};

Status Fill(ContainerCreate& create, const v1::CreateContainerRequest& request) {
  ContainerRecord& record = create.record;
  record.sandbox_id = create.pod.id;
  record.config = std::make_shared<const v1::ContainerConfig>(request.config());
  record.boot_id = create.daemon.host.boot_id;
  record.created_at_ns = NowUnixNs();
  record.cgroups_path =
      TRY(PodCgroup(create.pod.config->linux().cgroup_parent(), create.pod.id)) + "/" + record.id;
  record.log_path = TRY(LogPath(create.pod.config->log_directory(), request.config().log_path()));
  create.image = TRY(create.daemon.images->Find(request.config().image().image()));
  record.image_id = create.image.id;
  record.stop_signal = TRY(StopSignal(request.config(), create.image.config));
  create.paths = create.daemon.paths.Container(record.id);
  return {};
}

// With the sandbox's turn shared, so that it cannot go meanwhile.
Status Make(ContainerCreate& create, const v1::CreateContainerRequest& request) {
  create.pod = create.sandbox->Read();
  if (create.sandbox->removed || !create.pod.Ready()) {
    return Error{Code::kWrongState, 0, "pod sandbox " + create.sandbox->id + " is not ready"};
  }
  if (request.config().linux().security_context().privileged() &&
      !create.pod.config->linux().security_context().privileged()) {
    return Error{Code::kInvalidConfig, 0,
                 "/config/linux/security_context/privileged: the pod is not privileged"};
  }
  TRY(Fill(create, request));
  TRY(RunSteps(ContainerSteps(), create, create.daemon.observer));
  auto container = std::make_shared<Container>(create.record);
  container->shim.Set(create.shim);
  create.daemon.containers.Add(container);
  WatchContainer(create.daemon, *container);
  SendEvent(create.daemon, v1::CONTAINER_CREATED_EVENT, create.record);
  return {};
}

std::string NameOf(const v1::ContainerMetadata& metadata, const std::string& sandbox_id) {
  return metadata.name() + "_" + std::to_string(metadata.attempt()) + "_" + sandbox_id;
}

}  // namespace

std::span<const Step<ContainerCreate>> ContainerSteps() { return kSteps; }

std::string ContainerName(const ContainerRecord& record) {
  return NameOf(record.config->metadata(), record.sandbox_id);
}

namespace rpc {

Result<v1::CreateContainerResponse> CreateContainer(Daemon& daemon,
                                                    const v1::CreateContainerRequest& request,
                                                    const Call& call) {
  const auto sandbox = TRY(FindSandbox(daemon, request.pod_sandbox_id()));
  TRY(ValidateContainer(request.config()));
  const std::shared_lock turn(sandbox->lifecycle, After(kTurnTimeout));
  if (!turn.owns_lock()) {
    return Error{Code::kWrongState, kDeadlinePassed,
                 "pod sandbox " + sandbox->id + " is busy with another request"};
  }
  const std::string name = NameOf(request.config().metadata(), sandbox->id);
  const std::string id = RandomHex();
  v1::CreateContainerResponse response;
  if (auto made = TRY(daemon.container_names.Reserve(name, id, call.cancelled))) {
    response.set_container_id(*made);
    return response;
  }
  ContainerCreate create{
      .daemon = daemon, .sandbox = sandbox, .pod = {}, .image = {}, .record = {}, .paths = {}};
  create.record.id = id;
  const auto result = Make(create, request);
  if (!result.has_value()) {
    daemon.container_names.Release(name, id);
    return Within("create container " + request.config().metadata().name(), result.error());
  }
  daemon.container_names.Finish(name, !call.cancelled());
  response.set_container_id(id);
  return response;
}

}  // namespace rpc
}  // namespace coracle::cri
