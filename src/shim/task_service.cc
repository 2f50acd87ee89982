#include "task_service.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "metrics.h"
#include "task_messages.h"

namespace coracle::shim {
namespace {

namespace task = containerd::task::v2;

constexpr std::string_view kTaskServices[] = {"containerd.task.v2.Task", "containerd.task.v3.Task"};
constexpr std::string_view kShimService = "coracle.shim.v1.Shim";

template <class Member>
struct RequestOf;
template <class Request>
struct RequestOf<void (TaskService::*)(const Request&, const Reply&)> {
  using Type = Request;
};

}  // namespace

struct TaskService::Method {
  bool is_task;
  std::string_view name;
  void (*call)(TaskService& service, const IncomingCall& call, const Reply& reply);
};

// Reads the request that `kMember` takes.
template <auto kMember>
void TaskService::Call(TaskService& service, const IncomingCall& call, const Reply& reply) {
  typename RequestOf<decltype(kMember)>::Type request;
  if (!request.ParseFromString(call.payload))
    return reply(Error{Code::kProtocol, 0, call.method + ": unreadable request"});
  (service.*kMember)(request, reply);
}

// Checkpoint is not here: a client takes "unimplemented" for what it is.
const TaskService::Method TaskService::kMethods[] = {
    {true, "State", Call<&TaskService::State>},
    {true, "Create", Call<&TaskService::Create>},
    {true, "Start", Call<&TaskService::Start>},
    {true, "Delete", Call<&TaskService::Delete>},
    {true, "Pids", Call<&TaskService::Pids>},
    {true, "Pause", Call<&TaskService::Pause>},
    {true, "Resume", Call<&TaskService::Resume>},
    {true, "Kill", Call<&TaskService::Kill>},
    {true, "Exec", Call<&TaskService::Exec>},
    {true, "ResizePty", Call<&TaskService::ResizePty>},
    {true, "CloseIO", Call<&TaskService::CloseIo>},
    {true, "Update", Call<&TaskService::Update>},
    {true, "Wait", Call<&TaskService::Wait>},
    {true, "Stats", Call<&TaskService::Stats>},
    {true, "Connect", Call<&TaskService::Connect>},
    {true, "Shutdown", Call<&TaskService::Shutdown>},
    {false, "ReopenLog", Call<&TaskService::ReopenLog>},
};

TtrpcServer::Found TaskService::Handle(const IncomingCall& call, const Reply& reply) {
  const bool is_task = std::ranges::find(kTaskServices, call.service) != std::end(kTaskServices);
  if (!is_task && call.service != kShimService) return TtrpcServer::Found::kNothing;
  for (const auto& method : kMethods) {
    if (method.is_task != is_task || method.name != call.method) continue;
    method.call(*this, call, reply);
    return TtrpcServer::Found::kMethod;
  }
  return TtrpcServer::Found::kServiceOnly;
}

Task* TaskService::Find(const std::string& id, const Reply& reply) {
  if (task_ && task_->id() == id) return task_.get();
  reply(Error{Code::kNotFound, 0, "container " + id + " not created: not found"});
  return nullptr;
}

void TaskService::Create(const task::CreateTaskRequest& request, const Reply& reply) {
  if (task_) {
    return reply(Error{Code::kAlreadyExists, 0,
                       "this shim has the container " + task_->id() + ": already exists"});
  }
  ShimOptions options = options_;
  if (request.has_options()) {
    auto read = ReadOptions(request.options(), context_.container_namespace, options);
    if (!read) return reply(std::move(read).error());
  }
  task_ = std::make_shared<Task>(context_, request, std::move(options));
  const auto task = task_;
  task->Create(request, [this, reply](Result<std::string> result) {
    if (!result) task_.reset();
    reply(std::move(result));
  });
}

void TaskService::Start(const task::StartRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) task->Start(request.exec_id(), reply);
}

void TaskService::Delete(const task::DeleteRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply))
    task->Delete(request.exec_id(), reply, [this] { task_.reset(); });
}

void TaskService::State(const task::StateRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) ReplyWith(reply, task->State(request.exec_id()));
}

void TaskService::Pids(const task::PidsRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) ReplyWith(reply, task->Pids());
}

void TaskService::Pause(const task::PauseRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) task->SetPaused(true, reply);
}

void TaskService::Resume(const task::ResumeRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) task->SetPaused(false, reply);
}

void TaskService::Kill(const task::KillRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) {
    const auto signal = static_cast<int>(request.signal());
    ReplyEmpty(reply, task->Kill(request.exec_id(), signal, request.all()));
  }
}

void TaskService::Exec(const task::ExecProcessRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) ReplyEmpty(reply, task->AddExec(request));
}

void TaskService::ResizePty(const task::ResizePtyRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) {
    const auto height = static_cast<std::uint16_t>(request.height());
    const auto width = static_cast<std::uint16_t>(request.width());
    ReplyEmpty(reply, task->ResizePty(request.exec_id(), height, width));
  }
}

void TaskService::CloseIo(const task::CloseIORequest& request, const Reply& reply) {
  auto* task = Find(request.id(), reply);
  if (task == nullptr) return;
  ReplyEmpty(reply, request.stdin() ? task->CloseStdin(request.exec_id()) : Status());
}

void TaskService::Update(const task::UpdateTaskRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) task->Update(request.resources().value(), reply);
}

void TaskService::Wait(const task::WaitRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) task->Wait(request.exec_id(), reply);
}

void TaskService::Stats(const task::StatsRequest& request, const Reply& reply) {
  auto* task = Find(request.id(), reply);
  if (task == nullptr) return;
  const auto stats = task->Stats();
  if (!stats) return reply(stats.error());
  task::StatsResponse response;
  response.mutable_stats()->set_type_url(std::string(kMetricsType));
  response.mutable_stats()->set_value(EncodeMetrics(*stats));
  reply(response.SerializeAsString());
}

void TaskService::Connect(const task::ConnectRequest&, const Reply& reply) {
  task::ConnectResponse response;
  response.set_shim_pid(static_cast<std::uint32_t>(getpid()));
  if (task_) response.set_task_pid(static_cast<std::uint32_t>(task_->pid()));
  reply(response.SerializeAsString());
}

void TaskService::Shutdown(const task::ShutdownRequest&, const Reply& reply) {
  reply(std::string());
  if (!task_) on_shutdown_();
}

void TaskService::ReopenLog(const v1::ReopenLogRequest& request, const Reply& reply) {
  if (auto* task = Find(request.id(), reply)) ReplyEmpty(reply, task->ReopenLog());
}

}  // namespace coracle::shim
