#include "server.h"

#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "coracle/base/file.h"
#include "coracle/sys/socket.h"
#include "services.h"

namespace coracle::cri {
namespace {

constexpr std::chrono::seconds kShutdownGrace{3};  // for requests in flight
constexpr mode_t kSocketMode = 0660;

// sd_notify(3), which is one datagram: systemd waits for it before it starts what needs us.
void TellSystemd(const std::string& state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::string_view(path).size() >= sizeof(address.sun_path)) return;
  std::string_view(path).copy(address.sun_path, sizeof(address.sun_path) - 1);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::string_view(path).size());
  (void)::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), size);
}

std::unique_ptr<grpc::Server> Build(const Daemon& daemon, const std::string& socket,
                                    const std::vector<grpc::Service*>& services) {
  const Config& config = daemon.config;
  grpc::ResourceQuota quota("coracled");
  quota.SetMaxThreads(static_cast<int>(config.max_threads));
  grpc::ServerBuilder builder;
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(config.max_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(config.max_message_bytes));
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MIN_POLLERS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 4);
  builder.AddListeningPort("unix://" + socket, grpc::InsecureServerCredentials());
  for (grpc::Service* service : services) builder.RegisterService(service);
  return builder.BuildAndStart();
}

}  // namespace

Status ClearStaleSocket(const std::string& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return {};
    return KernelError("lstat(2) " + path);
  }
  if (!S_ISSOCK(st.st_mode)) {
    return Error{Code::kAlreadyExists, 0, "listen: " + path + " exists and is no socket"};
  }
  if (sys::ConnectUnix(path, SOCK_STREAM).has_value()) {
    return Error{Code::kAlreadyExists, 0, "listen: another program answers at " + path};
  }
  if (::unlink(path.c_str()) != 0) return KernelError("unlink(2) " + path);
  return {};
}

Status Serve(Daemon& daemon) {
  const std::string socket = daemon.config.Socket();
  TRY(MakeDirectories(std::filesystem::path(socket).parent_path()));
  TRY(ClearStaleSocket(socket));
  const auto runtime = MakeRuntimeService(daemon);
  const auto images = MakeImageService(daemon);
  // Never open to others, not even for a moment: the mask is set while there is one thread.
  const mode_t mask = ::umask(0777 & ~kSocketMode);
  const std::unique_ptr<grpc::Server> server = Build(daemon, socket, {runtime.get(), images.get()});
  ::umask(mask);
  if (server == nullptr) {
    return Error{Code::kKernel, 0, "listen: cannot bind " + socket + " (107 bytes at most)"};
  }
  daemon.log->info("serving CRI v1 at {}", socket);
  TellSystemd("READY=1");
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  int signal = 0;
  while (::sigwait(&signals, &signal) != 0) {
  }
  daemon.log->info("stopping; containers go on");
  TellSystemd("STOPPING=1");
  daemon.stopping = true;
  server->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
  server->Wait();
  ::unlink(socket.c_str());
  return {};
}

}  // namespace coracle::cri
