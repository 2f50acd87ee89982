#include "coracle/shim/client.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <future>
#include <utility>

#include "client_launch.h"
#include "client_loop.h"
#include "coracle/base/file.h"
#include "metrics.h"
#include "shim.pb.h"
#include "task/v2/task.pb.h"
#include "ttrpc.h"
#include "ttrpc_channel.h"

namespace coracle::shim {
namespace {

namespace task = containerd::task::v2;  // version 3 is the same bytes
constexpr const char* kTaskV2 = "containerd.task.v2.Task";
constexpr const char* kTaskV3 = "containerd.task.v3.Task";
constexpr const char* kSpecTypes = "types.containerd.io/opencontainers/runtime-spec/1/";

std::uint64_t UnixNs(const wire::Timestamp& time) {
  return static_cast<std::uint64_t>(time.seconds()) * 1'000'000'000U +
         static_cast<std::uint64_t>(time.nanos());
}

TaskStatus StatusFrom(containerd::v1::types::Status status) {
  switch (status) {
    case containerd::v1::types::CREATED:
      return TaskStatus::kCreated;
    case containerd::v1::types::RUNNING:
      return TaskStatus::kRunning;
    case containerd::v1::types::STOPPED:
      return TaskStatus::kStopped;
    case containerd::v1::types::PAUSED:
    case containerd::v1::types::PAUSING:
      return TaskStatus::kPaused;
    default:
      return TaskStatus::kUnknown;
  }
}

template <class Request>
void SetStdio(const Stdio& stdio, Request& request) {
  request.set_stdin(stdio.stdin_path);
  request.set_stdout(stdio.stdout_uri);
  request.set_stderr(stdio.stderr_uri);
  request.set_terminal(stdio.terminal);
}

class TaskClient : public Client {
 public:
  TaskClient(std::shared_ptr<ClientLoop> loop, std::string bundle, UniqueFd log)
      : loop_(std::move(loop)), bundle_(std::move(bundle)), log_(std::move(log)) {}
  ~TaskClient() override { Disconnect(); }

  Status Connect(UniqueFd socket, const std::string& container_namespace) {
    Status status;
    loop_->RunInLoop([&] {
      auto made = TtrpcChannel::Make(loop_->loop(), std::move(socket), container_namespace, [] {});
      if (made) {
        channel_ = *std::move(made);
      } else {
        status = std::move(made).error();
      }
    });
    return status;
  }

  // Which version of the Task service is there? Runc's shims have one only.
  Status Probe(const std::string& id, Clock::time_point deadline) {
    task::ConnectRequest request;
    request.set_id(id);
    auto answer = Raw(kTaskV3, "Connect", request, deadline);
    if (!answer && IsUnimplemented(answer.error())) {
      service_ = kTaskV2;
      answer = Raw(kTaskV2, "Connect", request, deadline);
    }
    if (!answer) return Within("connect to the shim of " + id, std::move(answer).error());
    return {};
  }

  Result<pid_t> Create(const CreateRequest& request, Clock::time_point deadline) override {
    task::CreateTaskRequest wire_request;
    wire_request.set_id(request.id);
    wire_request.set_bundle(request.bundle);
    SetStdio(request.stdio, wire_request);
    for (const auto& mount : request.rootfs) {
      auto* entry = wire_request.add_rootfs();
      entry->set_type(mount.type);
      entry->set_source(mount.source);
      entry->set_target(mount.destination);
      for (const auto& option : mount.options) entry->add_options(option);
    }
    const auto response = TRY(Call<task::CreateTaskResponse>("Create", wire_request, deadline));
    return static_cast<pid_t>(response.pid());
  }

  Result<pid_t> Start(const std::string& id, const std::string& exec_id,
                      Clock::time_point deadline) override {
    const auto request = Named<task::StartRequest>(id, exec_id);
    const auto response = TRY(Call<task::StartResponse>("Start", request, deadline));
    return static_cast<pid_t>(response.pid());
  }

  Result<TaskState> State(const std::string& id, const std::string& exec_id,
                          Clock::time_point deadline) override {
    const auto request = Named<task::StateRequest>(id, exec_id);
    const auto response = TRY(Call<task::StateResponse>("State", request, deadline));
    TaskState state;
    state.pid = static_cast<pid_t>(response.pid());
    state.status = StatusFrom(response.status());
    if (state.status == TaskStatus::kStopped)
      state.exit = Exit(response.exit_status(), response.exited_at(), exec_id);
    return state;
  }

  Status Kill(const std::string& id, const std::string& exec_id, int signal, bool all,
              Clock::time_point deadline) override {
    auto request = Named<task::KillRequest>(id, exec_id);
    request.set_signal(static_cast<std::uint32_t>(signal));
    request.set_all(all);
    return Tell("Kill", request, deadline);
  }

  Result<ExitStatus> Delete(const std::string& id, const std::string& exec_id,
                            Clock::time_point deadline) override {
    const auto request = Named<task::DeleteRequest>(id, exec_id);
    const auto response = TRY(Call<task::DeleteResponse>("Delete", request, deadline));
    return Exit(response.exit_status(), response.exited_at(), exec_id);
  }

  Status Exec(const ExecRequest& request, Clock::time_point deadline) override {
    auto wire_request = Named<task::ExecProcessRequest>(request.id, request.exec_id);
    SetStdio(request.stdio, wire_request);
    wire_request.mutable_spec()->set_type_url(std::string(kSpecTypes) + "Process");
    wire_request.mutable_spec()->set_value(PrintJson(ToJson(request.process)));
    return Tell("Exec", wire_request, deadline);
  }

  void Wait(const std::string& id, const std::string& exec_id, OnExit on_exit) override {
    OutgoingCall call{
        service_, "Wait", Named<task::WaitRequest>(id, exec_id).SerializeAsString(), {}};
    auto on_reply = [this, exec_id, tell = std::move(on_exit)](Result<std::string> reply) {
      if (!reply) return tell(std::move(reply).error());
      task::WaitResponse response;
      if (!response.ParseFromString(*reply))
        return tell(Error{Code::kProtocol, 0, "Wait: unreadable answer"});
      tell(Exit(response.exit_status(), response.exited_at(), exec_id));
    };
    loop_->loop().Post([this, call = std::move(call), on_reply = std::move(on_reply)]() mutable {
      if (!channel_) return on_reply(ConnectionClosed());
      channel_->Call(call, std::move(on_reply));
    });
  }

  Status Pause(const std::string& id, Clock::time_point deadline) override {
    task::PauseRequest request;
    request.set_id(id);
    return Tell("Pause", request, deadline);
  }

  Status Resume(const std::string& id, Clock::time_point deadline) override {
    task::ResumeRequest request;
    request.set_id(id);
    return Tell("Resume", request, deadline);
  }

  Status Update(const std::string& id, const oci::Resources& resources,
                Clock::time_point deadline) override {
    task::UpdateTaskRequest request;
    request.set_id(id);
    request.mutable_resources()->set_type_url(std::string(kSpecTypes) + "LinuxResources");
    request.mutable_resources()->set_value(PrintJson(ToJson(resources)));
    return Tell("Update", request, deadline);
  }

  Status CloseStdin(const std::string& id, const std::string& exec_id,
                    Clock::time_point deadline) override {
    auto request = Named<task::CloseIORequest>(id, exec_id);
    request.set_stdin(true);
    return Tell("CloseIO", request, deadline);
  }

  Status ResizePty(const std::string& id, const std::string& exec_id, std::uint16_t height,
                   std::uint16_t width, Clock::time_point deadline) override {
    auto request = Named<task::ResizePtyRequest>(id, exec_id);
    request.set_height(height);
    request.set_width(width);
    return Tell("ResizePty", request, deadline);
  }

  Result<std::vector<pid_t>> Pids(const std::string& id, Clock::time_point deadline) override {
    task::PidsRequest request;
    request.set_id(id);
    const auto response = TRY(Call<task::PidsResponse>("Pids", request, deadline));
    std::vector<pid_t> pids;
    for (const auto& process : response.processes())
      pids.push_back(static_cast<pid_t>(process.pid()));
    return pids;
  }

  Result<runtime::CgroupStats> Stats(const std::string& id, Clock::time_point deadline) override {
    task::StatsRequest request;
    request.set_id(id);
    const auto response = TRY(Call<task::StatsResponse>("Stats", request, deadline));
    if (response.stats().type_url() != kMetricsType) {
      return Error{Code::kUnsupported, 0,
                   "stats of type " + response.stats().type_url() + "; known is " +
                       std::string(kMetricsType)};
    }
    return DecodeMetrics(response.stats().value());
  }

  Status ReopenLog(const std::string& id, Clock::time_point deadline) override {
    v1::ReopenLogRequest request;
    request.set_id(id);
    TRY(Raw("coracle.shim.v1.Shim", "ReopenLog", request, deadline));
    return {};
  }

  Status Shutdown(const std::string& id, Clock::time_point deadline) override {
    task::ShutdownRequest request;
    request.set_id(id);
    auto status = Tell("Shutdown", request, deadline);
    Disconnect();
    // It may be gone before its answer has left.
    if (!status && status.error().code == Code::kProtocol) return {};
    return status;
  }

 private:
  template <class Request>
  static Request Named(const std::string& id, const std::string& exec_id) {
    Request request;
    request.set_id(id);
    request.set_exec_id(exec_id);
    return request;
  }

  ExitStatus Exit(std::uint32_t code, const wire::Timestamp& at, const std::string& exec_id) const {
    ExitStatus exit{.code = code, .exited_at_unix_ns = UnixNs(at)};
    if (!exec_id.empty()) return exit;
    // The standard has no place for it; our own shim has written it before it answers.
    if (const auto record = ReadExitRecord(bundle_)) exit.oom_killed = record->oom_killed;
    return exit;
  }

  template <class Request>
  Result<std::string> Raw(const std::string& service, const char* method, const Request& request,
                          Clock::time_point deadline) {
    OutgoingCall call{service, method, request.SerializeAsString(), deadline};
    const auto promise = std::make_shared<std::promise<Result<std::string>>>();
    auto future = promise->get_future();
    loop_->loop().Post([this, &call, promise] {
      auto on_reply = [promise](Result<std::string> reply) {
        promise->set_value(std::move(reply));
      };
      if (!channel_) return on_reply(ConnectionClosed());
      channel_->Call(call, std::move(on_reply));
    });
    return future.get();
  }

  template <class Response, class Request>
  Result<Response> Call(const char* method, const Request& request, Clock::time_point deadline) {
    const std::string payload = TRY(Raw(service_, method, request, deadline));
    Response response;
    if (!response.ParseFromString(payload))
      return Error{Code::kProtocol, 0, std::string(method) + ": unreadable answer"};
    return response;
  }

  template <class Request>
  Status Tell(const char* method, const Request& request, Clock::time_point deadline) {
    TRY(Raw(service_, method, request, deadline));
    return {};
  }

  void Disconnect() {
    loop_->RunInLoop([this] { channel_.reset(); });
  }

  std::shared_ptr<ClientLoop> loop_;
  std::string bundle_;
  UniqueFd log_;  // what a foreign shim writes into, which must have a reader
  const char* service_ = kTaskV3;
  std::unique_ptr<TtrpcChannel> channel_;  // lives in the loop
};

// A Go shim takes <bundle>/log as its stderr, and ends when nobody reads it.
Result<UniqueFd> OpenLogFifo(const std::string& bundle) {
  const std::string path = bundle + "/log";
  if (mkfifo(path.c_str(), 0700) != 0 && errno != EEXIST)
    return KernelError("mkfifo(3) path=" + path);
  UniqueFd fd(open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return KernelError("open(2) path=" + path);
  return fd;
}

Result<std::unique_ptr<Client>> ConnectClient(const std::string& address, UniqueFd log,
                                              const LaunchOptions& options) {
  auto client =
      std::make_unique<TaskClient>(TRY(ClientLoop::Shared()), options.bundle, std::move(log));
  TRY(client->Connect(TRY(ConnectToShim(address)), options.container_namespace));
  TRY(client->Probe(options.id, Client::Clock::now() + options.timeout));
  return client;
}

}  // namespace

Result<std::unique_ptr<Client>> Client::Launch(const LaunchOptions& options) {
  UniqueFd log;
  const bool is_foreign = !options.runtime_options.has_value();
  if (is_foreign) log = TRY(OpenLogFifo(options.bundle));
  const std::string address = TRY(RunStart(options));
  if (is_foreign) TRY(WriteFileAtomically(options.bundle + "/address", address, 0600));
  auto client = ConnectClient(address, std::move(log), options);
  if (!client) {
    // The shim may be running: what could not be reached must not stay.
    (void)DeleteAfterShim(options);
    return std::move(client).error();
  }
  return client;
}

Result<std::unique_ptr<Client>> Client::Reconnect(const std::string& bundle,
                                                  const std::string& container_namespace,
                                                  std::chrono::milliseconds timeout) {
  const std::string address = TRY(ReadFile(bundle + "/address"));
  UniqueFd log;
  struct stat status {};
  if (stat((bundle + "/log").c_str(), &status) == 0 && S_ISFIFO(status.st_mode))
    log = TRY(OpenLogFifo(bundle));
  LaunchOptions options;
  options.container_namespace = container_namespace;
  options.bundle = bundle;
  options.timeout = timeout;
  options.id = bundle.substr(bundle.rfind('/') + 1);
  return ConnectClient(address, std::move(log), options);
}

}  // namespace coracle::shim
