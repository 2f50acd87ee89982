#include "state_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "cgroup_manager.h"
#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "coracle/sys/process.h"

namespace coracle::runtime {

// Beside the struct that JsonReader fills.
void Read(JsonReader& reader, StateFile& state) {
  reader.Required("ociVersion", state.oci_version);
  reader.Required("id", state.id);
  reader.Required("bundle", state.bundle);
  reader.Optional("annotations", state.annotations);
  reader.Optional("pid", state.pid);
  reader.Optional("startTicks", state.start_ticks);
  reader.Optional("createdUnixNs", state.created_unix_ns);
  reader.Optional("ownerUid", state.owner_uid);
  reader.Optional("cgroup", state.cgroup);
  reader.Optional("cgroupCreated", state.cgroup_created);
  reader.Optional("rdtMount", state.rdt_mount);
  reader.Optional("rdtPlaces", state.rdt_places);
  reader.Optional("rdtDeleted", state.rdt_deleted);
  reader.Optional("systemdUnit", state.systemd_unit);
  reader.Optional("userManager", state.user_manager);
  reader.Optional("ownPidNamespace", state.own_pid_namespace);
  reader.Optional("hasProcess", state.has_process);
  reader.Optional("hasPoststart", state.has_poststart);
  reader.Optional("hasPoststop", state.has_poststop);
}

namespace {

constexpr int kLockAttempts = 2000;  // of 5 ms: as long as hooks of another verb may take
constexpr useconds_t kLockPauseUs = 5000;

Json ToJson(const StateFile& state) {
  Json json;
  json["ociVersion"] = state.oci_version;
  json["id"] = state.id;
  json["bundle"] = state.bundle;
  if (!state.annotations.empty()) json["annotations"] = state.annotations;
  json["pid"] = state.pid;
  json["startTicks"] = state.start_ticks;
  json["createdUnixNs"] = state.created_unix_ns;
  json["ownerUid"] = state.owner_uid;
  json["cgroup"] = state.cgroup;
  json["cgroupCreated"] = state.cgroup_created;
  if (!state.rdt_mount.empty()) {
    json["rdtMount"] = state.rdt_mount;
    json["rdtPlaces"] = state.rdt_places;
    json["rdtDeleted"] = state.rdt_deleted;
  }
  if (!state.systemd_unit.empty()) {
    json["systemdUnit"] = state.systemd_unit;
    json["userManager"] = state.user_manager;
  }
  json["ownPidNamespace"] = state.own_pid_namespace;
  json["hasProcess"] = state.has_process;
  json["hasPoststart"] = state.has_poststart;
  json["hasPoststop"] = state.has_poststop;
  return json;
}

Error DoesNotExist() { return {Code::kNotFound, ENOENT, "container does not exist"}; }

}  // namespace

StatePaths PathsOf(const std::string& root, const std::string& id) {
  const std::string directory = root + "/" + id;
  return {directory, directory + "/state.json", directory + "/config.json",
          directory + "/start.sock"};
}

Status WriteStateFile(const StatePaths& paths, const StateFile& state) {
  return WriteFileAtomically(paths.state, PrintJson(ToJson(state)));
}

Result<PendingFile> WriteStateAside(const StatePaths& paths, const StateFile& state) {
  return PendingFile::Write(paths.state, PrintJson(ToJson(state)));
}

Result<StateFile> ReadStateFile(const StatePaths& paths) {
  const Result<std::string> text = ReadFile(paths.state);
  if (!text.has_value())
    return text.error().code == Code::kNotFound ? DoesNotExist() : text.error();
  StateFile state;
  TRY(ReadJsonDocument(TRY(ParseJson(*text, paths.state)), paths.state, state));
  return state;
}

Result<oci::Spec> ReadConfigCopy(const StatePaths& paths) {
  return oci::ParseSpec(TRY(ReadFile(paths.config)), paths.config);
}

Result<UniqueFd> LockState(const StatePaths& paths) {
  UniqueFd fd(::open(paths.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return DoesNotExist();
    return KernelError("open(2) path=" + paths.directory);
  }
  for (int attempt = 0; ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++attempt) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return KernelError("flock(2) path=" + paths.directory);
    if (attempt == kLockAttempts)
      return Error{Code::kWrongState, EBUSY, "another operation on this container goes on"};
    ::usleep(kLockPauseUs);
  }
  return fd;
}

bool IsAlive(const StateFile& state) {
  if (state.pid <= 0) return false;
  const Result<sys::ProcessStat> stat = sys::ReadProcessStat(state.pid);
  return stat.has_value() && stat->start_ticks == state.start_ticks && stat->state != 'Z' &&
         stat->state != 'X';
}

oci::ContainerStatus DeriveStatus(const StatePaths& paths, const StateFile& state) {
  if (state.pid == 0) return oci::ContainerStatus::kCreating;
  if (!IsAlive(state)) return oci::ContainerStatus::kStopped;
  if (!state.cgroup.empty() && IsFrozen(state.cgroup).value_or(false))
    return oci::ContainerStatus::kPaused;
  return ::access(paths.start_socket.c_str(), F_OK) == 0 ? oci::ContainerStatus::kCreated
                                                         : oci::ContainerStatus::kRunning;
}

oci::State ToOciState(const StateFile& state, oci::ContainerStatus status) {
  oci::State result;
  result.oci_version = state.oci_version;
  result.id = state.id;
  result.status = status;
  result.pid = status == oci::ContainerStatus::kStopped ? 0 : state.pid;
  result.bundle = state.bundle;
  result.annotations = state.annotations;
  return result;
}

}  // namespace coracle::runtime
