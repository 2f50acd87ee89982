#include "recover.h"

#include <unistd.h>

#include <atomic>
#include <thread>

#include "container_create.h"
#include "container_end.h"
#include "sandbox_parts.h"
#include "sandbox_run.h"
#include "task.h"
#include "text.h"

namespace coracle::cri {
namespace {

constexpr std::size_t kThreads = 16;  // shims are asked side by side: one that hangs delays nobody
constexpr std::int32_t kUnknownExit = 255;

// Calls `work` for every item, several at a time.
template <class Item, class Work>
void ForEachInParallel(const std::vector<Item>& items, Work&& work) {
  std::atomic<std::size_t> next = 0;
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < std::min(kThreads, items.size()); ++i) {
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < items.size(); at = next++) work(items[at]);
    });
  }
}

void AddSandbox(Daemon& daemon, const SandboxRecord& record) {
  if (record.ready_at_ns == 0) {
    // RunPodSandbox was interrupted, and nobody heard of it.
    LogFailure(daemon, "remove half-made sandbox " + record.id, DestroySandbox(daemon, record));
    return;
  }
  auto sandbox = std::make_shared<Sandbox>(record);
  daemon.sandboxes.Add(sandbox);
  daemon.sandbox_names.Add(SandboxName(record.config->metadata()), record.id);
  if (!record.Ready()) return;
  bool lost = record.boot_id != daemon.host.boot_id;
  if (!lost && record.pause_pid != 0) {
    Result<std::unique_ptr<shim::Client>> client =
        daemon.shim.reconnect(daemon.paths.Sandbox(record.id).PauseBundle());
    if (client.has_value()) sandbox->pause.Set(std::move(*client));
    lost = !client.has_value();
  }
  if (lost) {
    LogFailure(daemon, "record sandbox " + record.id,
               sandbox->Change(*daemon.database,
                               [](SandboxRecord& changed) { changed.lost_at_ns = NowUnixNs(); }));
  }
  WatchPause(daemon, *sandbox);
}

// Its shim answers: whatever happened meanwhile, it knows.
void AddLiving(Daemon& daemon, Container& container, const shim::TaskState& state) {
  if (state.status == shim::TaskStatus::kStopped) {
    return RecordExit(daemon, container, state.exit);
  }
  const ContainerRecord record = container.Read();
  if (state.status == shim::TaskStatus::kRunning && record.started_at_ns == 0) {
    // The daemon ended between starting it and writing that down.
    LogFailure(daemon, "record container " + container.id,
               container.Change(*daemon.database, [&](ContainerRecord& changed) {
                 changed.started_at_ns = NowUnixNs();
                 changed.pid = state.pid;
               }));
  }
  WatchContainer(daemon, container);
}

void AddDead(Daemon& daemon, Container& container, const std::string& bundle) {
  Result<shim::ExitStatus> status = shim::ReadExitRecord(bundle);
  if (!status.has_value()) status = EndTask(daemon, container.id, bundle, nullptr);
  if (!status.has_value() || status->exited_at_unix_ns == 0) {
    status = shim::ExitStatus{.code = kUnknownExit, .exited_at_unix_ns = 0, .oom_killed = false};
  }
  RecordExit(daemon, container, *status);
}

void AddContainer(Daemon& daemon, const ContainerRecord& record) {
  if (record.ready_at_ns == 0) {
    LogFailure(daemon, "remove half-made container " + record.id, DestroyContainer(daemon, record));
    return;
  }
  auto container = std::make_shared<Container>(record);
  daemon.containers.Add(container);
  daemon.container_names.Add(ContainerName(record), record.id);
  const std::string bundle = daemon.paths.Container(record.id).Bundle();
  if (record.boot_id != daemon.host.boot_id) {
    container->cleaned_up = true;  // a restart left nothing to clean up
    if (record.finished_at_ns != 0) return;
    return RecordExit(daemon, *container, {.code = kUnknownExit});
  }
  if (record.finished_at_ns != 0) {
    // Recorded; was the shim let go as well?
    if (::access((bundle + "/address").c_str(), F_OK) != 0) {
      container->cleaned_up = true;
      return;
    }
    daemon.exits.Post([&daemon, container] {
      LogFailure(daemon, "clean up after " + container->id, CleanUpContainer(daemon, *container));
    });
    return;
  }
  Result<std::unique_ptr<shim::Client>> client = daemon.shim.reconnect(bundle);
  if (client.has_value()) {
    container->shim.Set(std::move(*client));
    const auto state = container->shim.Get()->State(record.id, "", After(kShimTimeout));
    if (state.has_value()) return AddLiving(daemon, *container, *state);
    container->shim.Set(nullptr);
  }
  AddDead(daemon, *container, bundle);
}

}  // namespace

Status Recover(Daemon& daemon) {
  std::vector<std::string> unreadable;
  const std::vector<SandboxRecord> sandboxes = TRY(daemon.database->Sandboxes(unreadable));
  const std::vector<ContainerRecord> containers = TRY(daemon.database->Containers(unreadable));
  for (const std::string& id : unreadable) {
    daemon.log->error("record {} cannot be read: left alone; remove it from {}", id,
                      daemon.paths.Database());
  }
  // Containers first: a half-made sandbox may only go after what is in it.
  ForEachInParallel(containers,
                    [&](const ContainerRecord& record) { AddContainer(daemon, record); });
  ForEachInParallel(sandboxes, [&](const SandboxRecord& record) { AddSandbox(daemon, record); });
  daemon.log->info("recovered {} pod sandboxes and {} containers", sandboxes.size(),
                   containers.size());
  return {};
}

}  // namespace coracle::cri
