// containerd's Task service, versions 2 and 3, for the one container of this shim; and our own Shim
// service beside it. Reads requests, asks the Task, writes answers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "shim.pb.h"
#include "task.h"
#include "task/v2/task.pb.h"
#include "ttrpc_server.h"

namespace coracle::shim {

class TaskService {
 public:
  // `options` are those of `start`; Create's, if it has any, count more. `on_shutdown` is called
  // when a client wants the shim to end and there is no container.
  TaskService(ShimContext& context, ShimOptions options, std::function<void()> on_shutdown)
      : context_(context), options_(std::move(options)), on_shutdown_(std::move(on_shutdown)) {}

  TtrpcServer::Found Handle(const IncomingCall& call, const Reply& reply);
  [[nodiscard]] bool HasTask() const { return task_ != nullptr; }

 private:
  void State(const containerd::task::v2::StateRequest& request, const Reply& reply);
  void Create(const containerd::task::v2::CreateTaskRequest& request, const Reply& reply);
  void Start(const containerd::task::v2::StartRequest& request, const Reply& reply);
  void Delete(const containerd::task::v2::DeleteRequest& request, const Reply& reply);
  void Pids(const containerd::task::v2::PidsRequest& request, const Reply& reply);
  void Pause(const containerd::task::v2::PauseRequest& request, const Reply& reply);
  void Resume(const containerd::task::v2::ResumeRequest& request, const Reply& reply);
  void Kill(const containerd::task::v2::KillRequest& request, const Reply& reply);
  void Exec(const containerd::task::v2::ExecProcessRequest& request, const Reply& reply);
  void ResizePty(const containerd::task::v2::ResizePtyRequest& request, const Reply& reply);
  void CloseIo(const containerd::task::v2::CloseIORequest& request, const Reply& reply);
  void Update(const containerd::task::v2::UpdateTaskRequest& request, const Reply& reply);
  void Wait(const containerd::task::v2::WaitRequest& request, const Reply& reply);
  void Stats(const containerd::task::v2::StatsRequest& request, const Reply& reply);
  void Connect(const containerd::task::v2::ConnectRequest& request, const Reply& reply);
  void Shutdown(const containerd::task::v2::ShutdownRequest& request, const Reply& reply);
  void ReopenLog(const v1::ReopenLogRequest& request, const Reply& reply);

  // The task if it is the one named; else null, and `reply` has been told so.
  Task* Find(const std::string& id, const Reply& reply);

  struct Method;
  static const Method kMethods[];
  template <auto kMember>
  static void Call(TaskService& service, const IncomingCall& call, const Reply& reply);

  ShimContext& context_;
  ShimOptions options_;
  std::function<void()> on_shutdown_;
  std::shared_ptr<Task> task_;
};

}  // namespace coracle::shim
