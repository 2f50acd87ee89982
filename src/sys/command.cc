// RunCommand: one helper program from its start to its end.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>

#include "coracle/base/file.h"
#include "coracle/base/step.h"
#include "coracle/sys/process.h"

namespace coracle::sys {
namespace {

// posix_spawn's dup2 to 0..2 must not meet one of its own sources there.
Result<UniqueFd> AboveStdio(int fd) {
  UniqueFd owned(fd);
  if (fd < 0 || fd > 2) return owned;
  UniqueFd above(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!above) return KernelError("fcntl(2) F_DUPFD_CLOEXEC");
  return above;
}

// A file, not a pipe: the helper may ignore it, and nobody has to feed it.
Result<UniqueFd> InputFile(const std::string& input) {
  if (input.empty()) {
    UniqueFd null(TRY(AboveStdio(::open("/dev/null", O_RDONLY | O_CLOEXEC))));
    if (!null) return KernelError("open(2) path=/dev/null");
    return null;
  }
  UniqueFd file = TRY(AboveStdio(::memfd_create("stdin", MFD_CLOEXEC)));
  if (!file) return KernelError("memfd_create(2)");
  TRY(WriteAll(file.get(), input, "memfd stdin"));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return KernelError("lseek(2)");
  return file;
}

struct Pipe {
  UniqueFd ours, theirs;
};
Result<Pipe> OutputPipe() {
  std::array<int, 2> fds{};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) return KernelError("pipe2(2)");
  UniqueFd read_end(fds[0]);
  UniqueFd write_end(fds[1]);
  Pipe pipe;
  pipe.ours = TRY(AboveStdio(read_end.release()));
  pipe.theirs = TRY(AboveStdio(write_end.release()));
  if (::fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK) != 0)
    return KernelError("fcntl(2) F_SETFL O_NONBLOCK");
  return pipe;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

Result<pid_t> Spawn(const Command& command, const std::array<int, 3>& stdio) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  for (int fd = 0; fd < 3; ++fd)
    ::posix_spawn_file_actions_adddup2(&actions, stdio[static_cast<std::size_t>(fd)], fd);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  if (!command.directory.empty())
    ::posix_spawn_file_actions_addchdir_np(&actions, command.directory.c_str());
  sigset_t signals;
  sigfillset(&signals);
  ::posix_spawnattr_setsigdefault(&attributes, &signals);
  sigemptyset(&signals);
  ::posix_spawnattr_setsigmask(&attributes, &signals);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv = Pointers(command.args);
  std::vector<char*> envp = Pointers(command.env);
  pid_t pid = -1;
  const int errnum =
      ::posix_spawn(&pid, command.path.c_str(), &actions, &attributes, argv.data(), envp.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (errnum == 0) return pid;
  Error error = KernelError("execve(2) path=" + command.path, errnum);
  if (errnum == ENOENT) error.code = Code::kNotFound;
  return error;
}

// Reads what is there; false at the end of the pipe. What is over the limit is thrown away.
bool Drain(int fd, std::size_t limit_bytes, std::string& text) {
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    const std::size_t room = limit_bytes - std::min(limit_bytes, text.size());
    text.append(buffer.data(), std::min(room, static_cast<std::size_t>(size)));
  }
}

// Collects output until the process ends (not until its pipes close: a daemon that it leaves
// behind may hold them), or its time is over. True: ended by itself.
bool Follow(int pidfd, const Command& command, std::array<UniqueFd, 2>& pipes,
            CommandResult& result) {
  const std::uint64_t begin_us = MonotonicMicroseconds();
  for (;;) {
    std::array<pollfd, 3> polled = {
        {{pidfd, POLLIN, 0}, {pipes[0].get(), POLLIN, 0}, {pipes[1].get(), POLLIN, 0}}};
    int wait_ms = -1;
    if (command.timeout) {
      const auto spent_ms = static_cast<std::int64_t>((MonotonicMicroseconds() - begin_us) / 1000);
      wait_ms = static_cast<int>(
          std::clamp<std::int64_t>(command.timeout->count() - spent_ms, 0, 1'000'000'000));
    }
    const int ready = ::poll(polled.data(), polled.size(), wait_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (!Drain(pipes[0].get(), command.output_limit_bytes, result.output)) pipes[0].reset();
    if (!Drain(pipes[1].get(), command.output_limit_bytes, result.error_output)) pipes[1].reset();
    if (polled[0].revents != 0) return true;
    if (ready <= 0) return false;
  }
}

}  // namespace

Result<CommandResult> RunCommand(const Command& command) {
  const UniqueFd input = TRY(InputFile(command.input));
  Pipe output = TRY(OutputPipe());
  Pipe error_output = TRY(OutputPipe());
  const pid_t pid =
      TRY(Spawn(command, {input.get(), output.theirs.get(), error_output.theirs.get()}));
  output.theirs.reset();
  error_output.theirs.reset();

  CommandResult result;
  std::array<UniqueFd, 2> pipes = {std::move(output.ours), std::move(error_output.ours)};
  Result<UniqueFd> pidfd = pidfd_open(pid);
  if (!pidfd.has_value() || !Follow(pidfd->get(), command, pipes, result)) {
    result.timed_out = pidfd.has_value();
    ::kill(-pid, SIGKILL);
  }
  result.exit_code = TRY(WaitExit(pid));
  if (!pidfd.has_value()) return pidfd.error();
  return result;
}

}  // namespace coracle::sys
