// Task: the end of processes, and Delete.
//
// The order that clients rely on: an exit is told after the start of the same process, init's after
// all others; and before anyone is told of init's, the log is complete and the record on disk.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <ranges>
#include <utility>

#include "coracle/runtime/container.h"
#include "events/task.pb.h"
#include "exit_record.h"
#include "rootfs.h"
#include "task.h"
#include "task_messages.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;
namespace task = containerd::task::v2;

constexpr auto kDrainTimeout = 10s;
constexpr std::uint32_t kKilledCode = 128 + SIGKILL;

task::DeleteResponse DeleteResponseOf(const Process& process) {
  task::DeleteResponse response;
  response.set_pid(static_cast<std::uint32_t>(process.pid));
  if (!process.exit) return response;
  response.set_exit_status(process.exit->code);
  SetTimestamp(process.exit->at_unix_ns, *response.mutable_exited_at());
  return response;
}

}  // namespace

void Task::Expect(Process& process) {
  context_.reaper.Expect(process.pid, [this, &process](const ProcessExit& exit) {
    process.exit = exit;
    // With a PID namespace of its own the kernel has killed the rest; else they would live on.
    if (&process == &init_ && !is_pid_namespace_init_) (void)KillAll(SIGKILL);
    TellExits();
  });
}

void Task::TellExits() {
  const auto is_due = [](const Process& process) {
    return process.exit && (process.phase == Phase::kRunning || process.phase == Phase::kCreated);
  };
  for (auto& process : execs_ | std::views::values) {
    if (is_due(process)) TellExit(process);
  }
  const bool execs_are_over = std::ranges::none_of(execs_ | std::views::values, [](const auto& p) {
    return p.phase == Phase::kRunning || p.phase == Phase::kStarting;
  });
  if (is_due(init_) && execs_are_over) TellInitExit();
}

void Task::TellExit(Process& process) {
  process.phase = Phase::kStopped;
  process.io->ProcessEnded();
  containerd::events::TaskExit event;
  event.set_id(process.exec_id.empty() ? id_ : process.exec_id);
  event.set_pid(static_cast<std::uint32_t>(process.pid));
  event.set_exit_status(process.exit->code);
  SetTimestamp(process.exit->at_unix_ns, *event.mutable_exited_at());
  Publish("/tasks/exit", std::move(event));
  TellWaiters(process);
}

void Task::TellInitExit() {
  is_paused_ = false;
  init_.io->ProcessEnded();
  const bool had_oom = oom_->Check();
  const ExitRecord record{.pid = init_.pid,
                          .exit = {.code = init_.exit->code,
                                   .exited_at_unix_ns = init_.exit->at_unix_ns,
                                   .oom_killed = had_oom && init_.exit->code == kKilledCode}};
  // Without a record a client still learns the exit from us; only our own end would hide it.
  (void)WriteExitRecord(bundle_, record);
  TellExit(init_);
  if (when_stopped_) std::exchange(when_stopped_, {})();
}

void Task::Delete(const std::string& exec_id, const Reply& reply, std::function<void()> on_gone) {
  auto found = Find(exec_id);
  if (!found) return reply(std::move(found).error());
  Process& process = **found;
  const bool is_busy = process.phase == Phase::kCreating || process.phase == Phase::kStarting;
  const bool is_alive =
      process.phase == Phase::kRunning || (!exec_id.empty() && process.pid != 0 && !process.exit);
  if (is_alive || is_busy || is_deleting_)
    return reply(Error{Code::kWrongState, 0, "cannot delete a running process"});
  if (exec_id.empty()) return DeleteInit(reply, std::move(on_gone));
  AfterDrain(process, [self = shared_from_this(), exec_id, reply] {
    const auto node = self->execs_.extract(exec_id);
    if (node.empty()) return reply(Error{Code::kNotFound, 0, "process already deleted: not found"});
    reply(DeleteResponseOf(node.mapped()).SerializeAsString());
  });
}

void Task::DeleteInit(const Reply& reply, std::function<void()> on_gone) {
  is_deleting_ = true;
  auto go_on = [self = shared_from_this(), reply, on_gone = std::move(on_gone)] {
    self->AfterDrain(self->init_, [self, reply, on_gone] { self->DeleteStopped(reply, on_gone); });
  };
  if (init_.phase == Phase::kStopped) return go_on();
  // Created, never started: it ends first, as every process does.
  when_stopped_ = std::move(go_on);
  kill(init_.pid, SIGKILL);
}

// A client that is slow with the terminal's output still gets it all, but not for ever.
void Task::AfterDrain(Process& process, std::function<void()> then) {
  if (!process.io || process.io->IsDrained()) return then();
  const auto once = std::make_shared<std::function<void()>>(std::move(then));
  const auto go_on = [once] {
    if (*once) std::exchange(*once, {})();
  };
  const auto timer = context_.loop.At(EventLoop::Clock::now() + kDrainTimeout, go_on);
  process.io->OnDrained([this, timer, go_on] {
    context_.loop.Cancel(timer);
    context_.loop.Post(go_on);  // it destroys who calls this
  });
}

void Task::DeleteStopped(const Reply& reply, const std::function<void()>& on_gone) {
  const auto work = [this]() -> Result<std::string> {
    TRY(runtime::Delete(RuntimeForWorker(), id_, true));
    TRY(UnmountRootfs(bundle_));
    return std::string();
  };
  const auto done = [self = shared_from_this(), reply, on_gone](const Result<std::string>& result) {
    self->is_deleting_ = false;
    if (!result) return reply(result.error());
    const auto response = DeleteResponseOf(self->init_);
    containerd::events::TaskDelete event;
    event.set_pid(response.pid());
    event.set_exit_status(response.exit_status());
    *event.mutable_exited_at() = response.exited_at();
    self->Publish("/tasks/delete", std::move(event));
    reply(response.SerializeAsString());
    on_gone();
  };
  context_.workers.Run({}, work, done);
}

}  // namespace coracle::shim
