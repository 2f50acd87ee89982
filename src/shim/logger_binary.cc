#include "logger_binary.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "coracle/sys/process.h"

namespace coracle::shim {
namespace {

// A program that is not ready after this will not be: the container must not wait for ever.
constexpr int kReadyTimeoutMs = 10'000;

struct Pipe {
  UniqueFd read_end, write_end;
};
Result<Pipe> MakePipe() {
  std::array<int, 2> fds{};
  if (pipe2(fds.data(), O_CLOEXEC) != 0) return KernelError("pipe2(2)");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// "a=b&c=d" -> a b c d: the program's arguments.
std::vector<std::string> Arguments(const std::string& program, std::string_view query) {
  std::vector<std::string> arguments = {program};
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    arguments.emplace_back(pair.substr(0, equals));
    if (equals != std::string_view::npos && equals + 1 < pair.size())
      arguments.emplace_back(pair.substr(equals + 1));
  }
  return arguments;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (auto& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

struct LoggerEnds {
  int stdout_fd, stderr_fd, ready_fd;
};

Result<pid_t> Spawn(std::vector<std::string>& arguments, std::vector<std::string>& environment,
                    const LoggerEnds& ends) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends.stdout_fd, 3);
  posix_spawn_file_actions_adddup2(&actions, ends.stderr_fd, 4);
  posix_spawn_file_actions_adddup2(&actions, ends.ready_fd, 5);
  posix_spawn_file_actions_addclosefrom_np(&actions, 6);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t signals;
  sigfillset(&signals);
  posix_spawnattr_setsigdefault(&attributes, &signals);
  sigemptyset(&signals);
  posix_spawnattr_setsigmask(&attributes, &signals);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  auto argv = Pointers(arguments);
  auto envp = Pointers(environment);
  pid_t pid = -1;
  const int errnum =
      posix_spawn(&pid, arguments[0].c_str(), &actions, &attributes, argv.data(), envp.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (errnum != 0) return KernelError("execve(2) logger path=" + arguments[0], errnum);
  return pid;
}

// dup2 in the new program must not meet one of its own sources at 3, 4 or 5.
Status MoveUp(UniqueFd& fd) {
  UniqueFd above(fcntl(fd.get(), F_DUPFD_CLOEXEC, 6));
  if (!above) return KernelError("fcntl(2) F_DUPFD_CLOEXEC");
  fd = std::move(above);
  return {};
}

Status AwaitReady(int ready_fd, bool must_write, const std::string& program) {
  pollfd polled{ready_fd, POLLIN, 0};
  int ready;
  do {
    ready = poll(&polled, 1, kReadyTimeoutMs);
  } while (ready < 0 && errno == EINTR);
  char byte = 0;
  if (ready == 1 && (read(ready_fd, &byte, 1) == 1 || !must_write)) return {};
  return Error{Code::kKernel, 0, "logging binary " + program + " did not call ready"};
}

}  // namespace

LoggerProcess::~LoggerProcess() {
  if (pidfd_) (void)sys::pidfd_send_signal(pidfd_.get(), SIGTERM);
}

Result<Logger> StartLogger(const std::string& uri, const std::string& container_id,
                           const std::string& container_namespace) {
  const std::size_t scheme_end = uri.find("://");
  const bool must_write = uri.substr(0, scheme_end) == "binary-v2";
  const std::string rest = uri.substr(scheme_end + 3);
  const std::size_t question = rest.find('?');
  const std::string program = rest.substr(0, question);
  auto arguments = Arguments(program, question == std::string::npos
                                          ? std::string_view()
                                          : std::string_view(rest).substr(question + 1));
  std::vector<std::string> environment = {"CONTAINER_ID=" + container_id,
                                          "CONTAINER_NAMESPACE=" + container_namespace};
  Pipe out = TRY(MakePipe());
  Pipe err = TRY(MakePipe());
  Pipe ready = TRY(MakePipe());
  for (UniqueFd* fd : {&out.read_end, &err.read_end, &ready.write_end}) TRY(MoveUp(*fd));
  const pid_t pid = TRY(Spawn(arguments, environment,
                              {out.read_end.get(), err.read_end.get(), ready.write_end.get()}));
  Logger logger{LoggerProcess(TRY(sys::pidfd_open(pid))), std::move(out.write_end),
                std::move(err.write_end)};
  ready.write_end.reset();
  TRY(AwaitReady(ready.read_end.get(), must_write, program));
  return logger;
}

}  // namespace coracle::shim
