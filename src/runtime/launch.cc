#include "launch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "console.h"
#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "coracle/sys/socket.h"
#include "intel_rdt.h"
#include "sync.h"

namespace coracle::runtime {

int ListenFds() {
  // LISTEN_PID: a daemon that starts us may itself have been started with sockets, and what is
  // open at their numbers here is anything.
  const auto number = [](const char* name) {
    const char* text = ::getenv(name);
    int value = 0;
    if (text != nullptr) std::from_chars(text, text + std::strlen(text), value);
    return value;
  };
  return number("LISTEN_PID") == ::getpid() ? std::max(number("LISTEN_FDS"), 0) : 0;
}

Status CheckKeptFds(const ProcessIo& io, int listen_fds) {
  const int count = listen_fds + io.preserve_fds;
  for (int fd = 3; fd < 3 + count; ++fd)
    if (::fcntl(fd, F_GETFD) < 0)
      return Error{Code::kInvalidConfig, EBADF,
                   "descriptor " + std::to_string(fd) + " should be preserved, but is not open"};
  return {};
}

Result<UniqueFd> ConnectConsoleOf(const ProcessIo& io, const ProgramPlan* program) {
  if (program == nullptr || !program->terminal) {
    if (io.console_socket.empty()) return UniqueFd();
    return Error{Code::kInvalidConfig, EINVAL,
                 "a console socket is given, but process.terminal is not set"};
  }
  if (io.console_fd >= 0) {
    UniqueFd copy(::fcntl(io.console_fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) return KernelError("fcntl(2) F_DUPFD_CLOEXEC");
    return copy;
  }
  if (io.console_socket.empty())
    return Error{Code::kInvalidConfig, EINVAL,
                 "process.terminal is set, but there is no console socket for it"};
  return ConnectConsole(io.console_socket);
}

Status JoinRdtOf(const StateFile& state, pid_t pid) {
  if (state.rdt_places.empty()) return {};
  return JoinRdtGroups(TRY(OpenRdt(state.rdt_mount)).get(), state.rdt_places, pid);
}

Status WritePidFile(const std::string& path, pid_t pid) {
  return path.empty() ? Status() : WriteFileAtomically(path, std::to_string(pid), 0644);
}

Status SendPidfd(const std::string& path, const char* kind, int pidfd) {
  if (path.empty()) return {};
  const UniqueFd socket = TRY(sys::ConnectUnix(path, SOCK_STREAM));
  return sys::SendFds(socket.get(), kind, {pidfd});
}

Result<std::optional<SeccompProgram>> CompileFilter(const Runtime& runtime, const Config& config,
                                                    const std::optional<SeccompPlan>& plan) {
  if (!plan) return config.filter;
  return std::optional(TRY(CompileSeccomp(*plan, config.cache, runtime.warn)));
}

Status FinishExecve(int socket, const StatePaths& paths, const oci::State& state, pid_t pid) {
  const UniqueFd listener = TRY(AwaitExecve(socket));
  if (!listener) return {};
  const oci::Spec spec = TRY(ReadConfigCopy(paths));
  if (!spec.linux_.seccomp)
    return Error{Code::kProtocol, 0, "a seccomp listener that nobody asked for"};
  SeccompProgram seccomp;
  seccomp.listener_path = spec.linux_.seccomp->listener_path;
  seccomp.listener_metadata = spec.linux_.seccomp->listener_metadata;
  TRY(SendSeccompListener(seccomp, oci::ToJson(state), pid, listener.get()));
  TRY(SendSync(socket, SyncKind::kSeccompTaken));
  TRY(AwaitExecve(socket));
  return {};
}

}  // namespace coracle::runtime
