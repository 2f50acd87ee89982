#include "task.h"

#include <signal.h>

#include <utility>

#include "coracle/base/file.h"
#include "coracle/runtime/cgroup.h"
#include "events/task.pb.h"
#include "runc/options.pb.h"
#include "task_messages.h"

namespace coracle::shim {
namespace {

namespace task = containerd::task::v2;

Error ProcessFinished() { return {Code::kNotFound, ESRCH, "process already finished: not found"}; }

containerd::v1::types::Status WireStatus(Phase phase, bool is_paused) {
  switch (phase) {
    case Phase::kStopped:
      return containerd::v1::types::STOPPED;
    case Phase::kRunning:
      return is_paused ? containerd::v1::types::PAUSED : containerd::v1::types::RUNNING;
    default:
      return containerd::v1::types::CREATED;
  }
}

task::WaitResponse ExitOf(const Process& process) {
  task::WaitResponse response;
  response.set_exit_status(process.exit->code);
  SetTimestamp(process.exit->at_unix_ns, *response.mutable_exited_at());
  return response;
}

}  // namespace

Task::Task(ShimContext& context, const task::CreateTaskRequest& request, ShimOptions options)
    : context_(context),
      id_(request.id()),
      bundle_(request.bundle()),
      options_(std::move(options)) {
  init_.phase = Phase::kCreating;
  init_.io_request = IoRequestOf(request, context_.container_namespace);
  init_.io_request.is_init = true;
}

Task::~Task() {
  context_.reaper.Forget(init_.pid);
  for (const auto& [exec_id, process] : execs_) context_.reaper.Forget(process.pid);
}

Result<Process*> Task::Find(const std::string& exec_id) {
  if (exec_id.empty()) return &init_;
  const auto found = execs_.find(exec_id);
  if (found != execs_.end()) return &found->second;
  return Error{Code::kNotFound, 0, "process " + exec_id + " does not exist: not found"};
}

Status Task::AddExec(const task::ExecProcessRequest& request) {
  if (request.exec_id().empty())
    return Error{Code::kInvalidConfig, 0, "exec_id: required, but empty"};
  if (init_.phase != Phase::kRunning) {
    return Error{Code::kWrongState, 0,
                 init_.phase == Phase::kStopped ? "cannot exec in a stopped state"
                                                : "cannot exec in a created state"};
  }
  if (is_paused_) return Error{Code::kWrongState, 0, "cannot exec in a paused state"};
  const auto [added, is_new] = execs_.try_emplace(request.exec_id());
  if (!is_new)
    return Error{Code::kAlreadyExists, 0, "id " + request.exec_id() + ": already exists"};
  added->second.exec_id = request.exec_id();
  added->second.spec = request.spec().value();
  added->second.io_request = IoRequestOf(request, context_.container_namespace);
  containerd::events::TaskExecAdded event;
  event.set_exec_id(request.exec_id());
  Publish("/tasks/exec-added", std::move(event));
  return {};
}

void Task::Wait(const std::string& exec_id, const Reply& reply) {
  auto found = Find(exec_id);
  if (!found) return reply(std::move(found).error());
  Process& process = **found;
  if (process.phase != Phase::kStopped) return process.waiters.push_back(reply);
  if (!process.exit)  // its start failed
    return reply(Error{Code::kNotFound, 0, "process " + exec_id + " never ran: not found"});
  ReplyWith(reply, Result<task::WaitResponse>(ExitOf(process)));
}

void Task::TellWaiters(Process& process) {
  for (const auto& reply : std::exchange(process.waiters, {}))
    ReplyWith(reply, Result<task::WaitResponse>(ExitOf(process)));
}

Result<task::StateResponse> Task::State(const std::string& exec_id) {
  const Process& process = *TRY(Find(exec_id));
  task::StateResponse response;
  response.set_id(exec_id.empty() ? id_ : exec_id);
  response.set_bundle(bundle_);
  response.set_pid(static_cast<std::uint32_t>(process.pid));
  response.set_status(WireStatus(process.phase, is_paused_));
  response.set_stdin(process.io_request.stdin_);
  response.set_stdout(process.io_request.stdout_);
  response.set_stderr(process.io_request.stderr_);
  response.set_terminal(process.io_request.terminal);
  if (process.phase == Phase::kStopped && process.exit) {
    response.set_exit_status(process.exit->code);
    SetTimestamp(process.exit->at_unix_ns, *response.mutable_exited_at());
  }
  return response;
}

Status Task::Kill(const std::string& exec_id, int signal, bool all) {
  const Process& process = *TRY(Find(exec_id));
  if (all && exec_id.empty()) return KillAll(signal);
  if (process.exit) return ProcessFinished();
  if (process.pid == 0)
    return Error{Code::kWrongState, 0, "process not started: failed precondition"};
  // Ours, and not yet reaped: the number cannot be another process's.
  if (kill(process.pid, signal) == 0) return {};
  if (errno == EINVAL) {
    return Error{Code::kInvalidConfig, EINVAL,
                 "signal " + std::to_string(signal) + ": unknown; allowed are 0 to 64"};
  }
  return KernelError("kill(2) pid=" + std::to_string(process.pid) +
                     " signal=" + std::to_string(signal));
}

// Also what init has left behind: clients wait for the last writer of the output.
Status Task::KillAll(int signal) {
  if (cgroup_path_.empty()) return {};
  if (signal == SIGKILL) {
    auto killed = WriteKernelFile(cgroup_path_ + "/cgroup.kill", "1");
    if (!killed && (killed.error().errnum == ENOENT || killed.error().errnum == ENODEV)) return {};
    return killed;
  }
  const auto pids = runtime::CgroupPids(cgroup_path_);
  if (!pids) return pids.error().code == Code::kNotFound ? Status() : pids.error();
  for (const int pid : *pids) {
    if (kill(pid, signal) != 0 && errno != ESRCH)
      return KernelError("kill(2) pid=" + std::to_string(pid) +
                         " signal=" + std::to_string(signal));
  }
  return {};
}

Result<task::PidsResponse> Task::Pids() {
  task::PidsResponse response;
  const auto pids = runtime::CgroupPids(cgroup_path_);
  for (const int pid : pids.value_or(std::vector<int>{})) {
    auto* entry = response.add_processes();
    entry->set_pid(static_cast<std::uint32_t>(pid));
    for (const auto& [exec_id, process] : execs_) {
      if (process.pid != pid || process.exit) continue;
      containerd::runc::v1::ProcessDetails details;
      details.set_exec_id(exec_id);
      entry->mutable_info()->set_type_url("containerd.runc.v1.ProcessDetails");
      entry->mutable_info()->set_value(details.SerializeAsString());
    }
  }
  // containerd takes an empty list for a leaked shim and forgets how the container ended.
  if (response.processes().empty())
    response.add_processes()->set_pid(static_cast<std::uint32_t>(init_.pid));
  return response;
}

Result<runtime::CgroupStats> Task::Stats() { return runtime::ReadCgroupStats(cgroup_path_); }

Status Task::CloseStdin(const std::string& exec_id) {
  const Process& process = *TRY(Find(exec_id));
  if (process.io) process.io->CloseStdin();
  return {};
}

Status Task::ResizePty(const std::string& exec_id, std::uint16_t height, std::uint16_t width) {
  const Process& process = *TRY(Find(exec_id));
  if (process.exit) return ProcessFinished();
  if (!process.io) return {};
  return process.io->Resize(height, width);
}

Status Task::ReopenLog() {
  if (!init_.io) return Error{Code::kWrongState, 0, "the container has not been created"};
  return init_.io->ReopenLog();
}

}  // namespace coracle::shim
