// Task: Start of init and of execs, and the changes of a running container.
#include <signal.h>

#include <utility>

#include "coracle/oci/spec.h"
#include "coracle/runtime/container.h"
#include "events/task.pb.h"
#include "task.h"
#include "task_messages.h"

namespace coracle::shim {
namespace {

namespace task = containerd::task::v2;

std::string StartResponse(pid_t pid) {
  task::StartResponse response;
  response.set_pid(static_cast<std::uint32_t>(pid));
  return response.SerializeAsString();
}

// In the worker. The answer is the same message that Start gives.
Result<std::string> ExecProcess(const runtime::Runtime& runtime, const std::string& id,
                                const Process& process) {
  runtime::ExecOptions options;
  options.id = id;
  options.process = TRY(oci::ParseProcess(process.spec, "process of exec " + process.exec_id));
  options.process.terminal = process.io_request.terminal;  // the request's word counts
  options.child_of_parent = true;
  if (process.io_request.terminal) options.io.console_fd = Workers::kConsoleFd;
  const pid_t pid = TRY(runtime::Exec(runtime, options));
  return StartResponse(pid);
}

}  // namespace

void Task::Start(const std::string& exec_id, const Reply& reply) {
  auto process = Find(exec_id);
  if (!process) return reply(std::move(process).error());
  const Phase phase = (*process)->phase;
  const Phase wanted = exec_id.empty() ? Phase::kCreated : Phase::kAdded;
  if (phase != wanted) {
    const char* state = phase == Phase::kStopped ? "stopped" : "running";
    return reply(Error{Code::kWrongState, 0, std::string("cannot start a ") + state + " process"});
  }
  (*process)->phase = Phase::kStarting;
  if (exec_id.empty()) return StartInit(reply);
  StartExec(**process, reply);
}

void Task::StartInit(const Reply& reply) {
  if (auto connected = init_.io->ConnectStdin(); !connected) {
    init_.phase = Phase::kCreated;
    return reply(connected.error());
  }
  const auto work = [this]() -> Result<std::string> {
    TRY(runtime::Start(RuntimeForWorker(), id_));
    return std::string();
  };
  const auto done = [self = shared_from_this(), reply](const Result<std::string>& result) {
    Process& init = self->init_;
    // A start that failed has ended the process: its exit is on its way to us.
    init.phase = result ? Phase::kRunning : Phase::kCreated;
    if (result) {
      containerd::events::TaskStart event;
      event.set_pid(static_cast<std::uint32_t>(init.pid));
      self->Publish("/tasks/start", std::move(event));
      reply(StartResponse(init.pid));
    } else {
      reply(result.error());
    }
    self->TellExits();
  };
  context_.workers.Run({}, work, done);
}

void Task::StartExec(Process& process, const Reply& reply) {
  if (init_.exit) {
    const Error error{Code::kWrongState, 0,
                      "container " + id_ + " init process is not running: failed precondition"};
    return ExecFailed(process, error, reply);
  }
  if (auto opened = OpenIo(process); !opened) return ExecFailed(process, opened.error(), reply);
  auto console = MakeConsole(process);
  if (!console) return ExecFailed(process, console.error(), reply);
  const Workers::Descriptors descriptors{process.io->ProcessFds(), console->theirs.get()};
  const auto work = [this, &process] { return ExecProcess(RuntimeForWorker(), id_, process); };
  const auto done = [self = shared_from_this(), &process, ours = console->ours,
                     reply](const Result<std::string>& result) {
    process.io->CloseProcessFds();
    if (!result) return self->ExecFailed(process, result.error(), reply);
    if (auto taken = self->TakeExec(process, *result, ours->get()); !taken) {
      kill(process.pid, SIGKILL);
      return self->ExecFailed(process, taken.error(), reply);
    }
    process.phase = Phase::kRunning;
    containerd::events::TaskExecStarted event;
    event.set_exec_id(process.exec_id);
    event.set_pid(static_cast<std::uint32_t>(process.pid));
    self->Publish("/tasks/exec-started", std::move(event));
    reply(*result);
    self->TellExits();
  };
  context_.workers.Run(descriptors, work, done);
}

Status Task::TakeExec(Process& process, const std::string& result, int console) {
  task::StartResponse response;
  response.ParseFromString(result);
  process.pid = static_cast<pid_t>(response.pid());
  Expect(process);
  TRY(TakeTerminal(process, console));
  return process.io->ConnectStdin();
}

// No exit event, since nothing has run; but whoever waits must not wait for ever.
void Task::ExecFailed(Process& process, const Error& error, const Reply& reply) {
  process.phase = Phase::kStopped;
  process.io.reset();
  for (const auto& waiter : std::exchange(process.waiters, {})) waiter(error);
  reply(error);
  TellExits();
}

void Task::SetPaused(bool is_paused, const Reply& reply) {
  if (init_.phase != Phase::kRunning || is_paused_ == is_paused) {
    const std::string verb = is_paused ? "pause" : "resume";
    const std::string state =
        init_.phase != Phase::kRunning ? "not running" : (is_paused_ ? "paused" : "running");
    return reply(Error{Code::kWrongState, 0, "cannot " + verb + " a container that is " + state});
  }
  const auto work = [this, is_paused]() -> Result<std::string> {
    const auto runtime = RuntimeForWorker();
    TRY(is_paused ? runtime::Pause(runtime, id_) : runtime::Resume(runtime, id_));
    return std::string();
  };
  const auto done = [self = shared_from_this(), is_paused,
                     reply](const Result<std::string>& result) {
    if (!result) return reply(result.error());
    self->is_paused_ = is_paused;
    if (is_paused) {
      self->Publish("/tasks/paused", containerd::events::TaskPaused());
    } else {
      self->Publish("/tasks/resumed", containerd::events::TaskResumed());
    }
    reply(std::string());
  };
  context_.workers.Run({}, work, done);
}

void Task::Update(const std::string& resources_json, const Reply& reply) {
  if (init_.exit) return reply(Error{Code::kNotFound, 0, "process already finished: not found"});
  const auto work = [&]() -> Result<std::string> {
    const auto resources = TRY(oci::ParseResources(resources_json, "resources"));
    TRY(runtime::Update(RuntimeForWorker(), id_, resources));
    return std::string();
  };
  context_.workers.Run({}, work, reply);
}

}  // namespace coracle::shim
