// The one container of this shim: its init process, its execs, and their life from Create to
// Delete. Nothing here blocks; the runtime library runs in worker processes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "container_io.h"
#include "coracle/base/result.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/runtime/container.h"
#include "events.h"
#include "oom_watcher.h"
#include "options.h"
#include "reaper.h"
#include "task/v2/task.pb.h"
#include "ttrpc_server.h"
#include "workers.h"

namespace coracle::shim {

// What the parts of the shim share. All in one thread.
struct ShimContext {
  EventLoop& loop;
  Reaper& reaper;
  Workers& workers;
  EventPublisher& events;
  std::string container_namespace;
};

enum class Phase : std::uint8_t { kAdded, kCreating, kCreated, kStarting, kRunning, kStopped };

// Init, or an exec.
struct Process {
  std::string exec_id;  // empty: init
  std::string spec;     // of an exec: JSON of config.md#process
  IoRequest io_request;
  std::unique_ptr<ContainerIo> io;
  Phase phase = Phase::kAdded;
  pid_t pid = 0;
  // Known as soon as the process is reaped; told (kStopped) when the order of events allows.
  std::optional<ProcessExit> exit;
  std::vector<Reply> waiters;
};

class Task : public std::enable_shared_from_this<Task> {
 public:
  Task(ShimContext& context, const containerd::task::v2::CreateTaskRequest& request,
       ShimOptions options);
  ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] pid_t pid() const { return init_.pid; }

  // The owner drops the task when Create has failed, and when Delete calls `on_gone`.
  void Create(const containerd::task::v2::CreateTaskRequest& request, const Reply& reply);
  void Start(const std::string& exec_id, const Reply& reply);
  void Delete(const std::string& exec_id, const Reply& reply, std::function<void()> on_gone);

  Status AddExec(const containerd::task::v2::ExecProcessRequest& request);
  void Wait(const std::string& exec_id, const Reply& reply);
  Result<containerd::task::v2::StateResponse> State(const std::string& exec_id);
  Status Kill(const std::string& exec_id, int signal, bool all);
  Result<containerd::task::v2::PidsResponse> Pids();
  Result<runtime::CgroupStats> Stats();
  void Update(const std::string& resources_json, const Reply& reply);
  void SetPaused(bool is_paused, const Reply& reply);
  Status CloseStdin(const std::string& exec_id);
  Status ResizePty(const std::string& exec_id, std::uint16_t height, std::uint16_t width);
  Status ReopenLog();

 private:
  // The two ends of the socket through which the runtime sends a terminal; both empty without one.
  struct ConsolePair {
    std::shared_ptr<UniqueFd> ours = std::make_shared<UniqueFd>();
    UniqueFd theirs;
  };

  Result<Process*> Find(const std::string& exec_id);
  template <class Event>
  void Publish(const char* topic, Event event) const {
    event.set_container_id(id_);
    context_.events.Publish(topic, event.GetTypeName(), event.SerializeAsString());
  }
  [[nodiscard]] runtime::Runtime RuntimeForWorker() const;

  Status OpenIo(Process& process);
  static Result<ConsolePair> MakeConsole(const Process& process);
  static Status TakeTerminal(Process& process, int console);
  void Expect(Process& process);

  Status TakeCreated(const std::string& result, int console);
  void TellCreated(const containerd::task::v2::CreateTaskRequest& request, const Reply& reply);
  void UndoCreate(const Error& error, const Reply& reply);
  void StartInit(const Reply& reply);
  void StartExec(Process& process, const Reply& reply);
  Status TakeExec(Process& process, const std::string& result, int console);
  void ExecFailed(Process& process, const Error& error, const Reply& reply);

  // Tells every exit that is due: one that nothing has to come before any more.
  void TellExits();
  void TellExit(Process& process);
  void TellInitExit();
  void TellWaiters(Process& process);

  void DeleteInit(const Reply& reply, std::function<void()> on_gone);
  void DeleteStopped(const Reply& reply, const std::function<void()>& on_gone);
  void AfterDrain(Process& process, std::function<void()> then);
  Status KillAll(int signal);

  ShimContext& context_;
  std::string id_, bundle_;
  ShimOptions options_;
  Process init_;
  std::map<std::string, Process> execs_;  // by exec id; addresses stay
  std::string cgroup_path_;
  bool is_pid_namespace_init_ = true;
  bool is_paused_ = false;
  bool is_deleting_ = false;
  std::unique_ptr<OomWatcher> oom_;
  std::function<void()> when_stopped_;  // a Delete that has killed a created container
};

}  // namespace coracle::shim
