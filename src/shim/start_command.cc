// coracle-shim start: opens the socket, leaves the server behind, answers with the address.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <utility>

#include "bootstrap.pb.h"
#include "command_line.h"
#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/sys/socket.h"
#include "server.h"

namespace coracle::shim {
namespace {

constexpr const char* kSocketDirectory = "/run/containerd/s";

struct Bootstrap {
  std::string socket_directory = kSocketDirectory;
  std::string events_address;
  ShimOptions options;
};

std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

// Standard input has one of two forms that parse as each other: BootstrapParams (containerd 2.3 and
// later) carries the names that the command line has; anything else is an Any, or nothing.
Result<Bootstrap> ReadBootstrap(const CommandLine& command_line) {
  const std::string input = TRY(ReadFd(STDIN_FILENO, "standard input"));
  Bootstrap result;
  result.options = DefaultOptions(command_line.container_namespace);
  result.events_address = Environment("TTRPC_ADDRESS");
  containerd::runtime::bootstrap::BootstrapParams params;
  if (params.ParseFromString(input) && params.instance_id() == command_line.id &&
      params.namespace_() == command_line.container_namespace) {
    if (params.has_socket_dir()) result.socket_directory = params.socket_dir();
    if (!params.containerd_ttrpc_address().empty())
      result.events_address = params.containerd_ttrpc_address();
    for (const auto& extension : params.extensions())
      TRY(ReadOptions(extension.value(), command_line.container_namespace, result.options));
    return result;
  }
  wire::Any any;
  if (!any.ParseFromString(input))
    return Error{Code::kInvalidConfig, 0, "standard input: neither BootstrapParams nor an Any"};
  TRY(ReadOptions(any, command_line.container_namespace, result.options));
  return result;
}

Result<ServerOptions> OpenServer(const CommandLine& command_line) {
  Bootstrap bootstrap = TRY(ReadBootstrap(command_line));
  ServerOptions server;
  TRY(MakeDirectories(bootstrap.socket_directory, 0700));
  // A name nobody else has: there is one shim per container, and the address is all that counts.
  server.socket_path = bootstrap.socket_directory + "/" + RandomHex(16);
  server.listening = TRY(sys::ListenUnix(server.socket_path, 0600, SOCK_STREAM | SOCK_NONBLOCK));
  server.container_namespace = command_line.container_namespace;
  server.events_address = std::move(bootstrap.events_address);
  server.options = std::move(bootstrap.options);
  return server;
}

// The daemon waits for the end of our output, so the server must not keep it open; nor anything
// else of the daemon's.
Status Detach(UniqueFd& listening) {
  if (setsid() < 0) return KernelError("setsid(2)");
  {
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return KernelError("open(2) path=/dev/null");
    for (int fd = 0; fd < 3; ++fd) {
      if (dup2(null.get(), fd) < 0) return KernelError("dup2(2)");
    }
  }
  constexpr int kListening = 3;
  if (listening.get() != kListening) {
    if (dup3(listening.get(), kListening, O_CLOEXEC) < 0) return KernelError("dup3(2)");
    listening = UniqueFd(kListening);
  }
  if (close_range(kListening + 1, ~0U, 0) != 0) return KernelError("close_range(2)");
  return {};
}

[[noreturn]] void RunServer(ServerOptions server) noexcept {
  if (!Detach(server.listening)) _exit(1);
  _exit(Serve(std::move(server)) ? 0 : 1);
}

Result<std::string> Start(const CommandLine& command_line) {
  ServerOptions server = TRY(OpenServer(command_line));
  const std::string socket_path = server.socket_path;
  const std::string address = "unix://" + socket_path;
  // In the bundle, which is our working directory: containerd 1.6 looks for it after a restart.
  auto written = WriteFileAtomically("address", address, 0600);
  const pid_t pid = written ? fork() : -1;
  if (pid == 0) RunServer(std::move(server));
  if (pid > 0) return address;
  const Error error = written ? KernelError("fork(2)") : written.error();
  unlink(socket_path.c_str());
  return error;
}

}  // namespace

int RunStart(const CommandLine& command_line) {
  const auto address = Start(command_line);
  // One byte on stderr would make the answer unusable, so there is either the one or the other.
  if (!address) {
    fprintf(stderr, "coracle-shim: start %s: %s\n", command_line.id.c_str(),
            address.error().message.c_str());
    return 1;
  }
  fputs(address->c_str(), stdout);
  return fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace coracle::shim
