// What no record names: left by a crash between two steps, or by a database that was removed.
#include <filesystem>
#include <set>

#include "container_end.h"
#include "coracle/base/file.h"
#include "recover.h"
#include "sandbox_parts.h"
#include "task.h"

namespace coracle::cri {
namespace {

std::vector<std::string> Names(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

Status RemoveStrayContainer(Daemon& daemon, const std::string& id) {
  const ContainerPaths paths = daemon.paths.Container(id);
  TRY(EndTask(daemon, id, paths.Bundle(), nullptr));
  return RemoveTree(paths.dir);
}

Status RemoveStraySandbox(Daemon& daemon, const std::string& id) {
  const SandboxPaths paths = daemon.paths.Sandbox(id);
  TRY(StopPause(daemon, id, nullptr));
  TRY(UnmountShm(paths));
  TRY(UnpinSandboxNamespaces(paths));
  return RemoveTree(paths.dir);
}

Status DetachStrays(Daemon& daemon, const std::set<std::string>& sandboxes) {
  for (const std::string& id : TRY(daemon.cni->Attached())) {
    if (sandboxes.contains(id)) continue;
    net::Attachment attachment;
    attachment.container_id = id;
    attachment.network_path = daemon.paths.Sandbox(id).NetworkNamespace();
    TRY(daemon.cni->Detach(attachment));
  }
  // Addresses that a plugin still holds for pods we never heard of.
  return daemon.cni->CollectGarbage({sandboxes.begin(), sandboxes.end()});
}

Status RemoveStraySnapshots(Daemon& daemon, const std::set<std::string>& containers) {
  const std::string prefix = SnapshotKey("");
  for (const std::string& key : TRY(daemon.images->SnapshotKeys())) {
    // Keys without our prefix belong to `coracle image`.
    if (!key.starts_with(prefix) || containers.contains(key.substr(prefix.size()))) continue;
    TRY(daemon.images->RemoveSnapshot(key));
  }
  return {};
}

}  // namespace

void CollectGarbage(Daemon& daemon) {
  // From the database, not from memory: a record that could not be read still names its things.
  std::vector<std::string> unreadable;
  std::set<std::string> sandboxes, containers;
  const auto sandbox_records = daemon.database->Sandboxes(unreadable);
  const auto container_records = daemon.database->Containers(unreadable);
  if (!sandbox_records.has_value() || !container_records.has_value()) return;
  for (const SandboxRecord& record : *sandbox_records) sandboxes.insert(record.id);
  for (const ContainerRecord& record : *container_records) containers.insert(record.id);
  sandboxes.insert(unreadable.begin(), unreadable.end());
  containers.insert(unreadable.begin(), unreadable.end());
  for (const std::string& id : Names(daemon.paths.Containers())) {
    if (containers.contains(id)) continue;
    LogFailure(daemon, "remove stray container " + id, RemoveStrayContainer(daemon, id));
  }
  LogFailure(daemon, "detach stray networks", DetachStrays(daemon, sandboxes));
  for (const std::string& id : Names(daemon.paths.Sandboxes())) {
    if (sandboxes.contains(id)) continue;
    LogFailure(daemon, "remove stray sandbox " + id, RemoveStraySandbox(daemon, id));
  }
  LogFailure(daemon, "remove stray snapshots", RemoveStraySnapshots(daemon, containers));
  LogFailure(daemon, "collect garbage of images", daemon.images->CollectGarbage());
}

}  // namespace coracle::cri
