// Processes: pidfd_open(2), waitid(2), prctl(2), signals, /proc/<pid>/stat.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::sys {

Result<UniqueFd> pidfd_open(pid_t pid);
// kNotFound when the process is gone.
Status pidfd_send_signal(int pidfd, int signal);

// Of /proc/<pid>/stat: proc_pid_stat(5). start_ticks, in clock ticks after boot, names a process
// for good together with the pid.
// kNotFound when there is no such process.
struct ProcessStat {
  std::string name;  // 15 bytes at most, and whatever the process calls itself
  char state = '?';  // R S D Z T X ...
  pid_t parent = 0;
  bool kernel_thread = false;
  std::uint64_t start_ticks = 0;
};
Result<ProcessStat> ReadProcessStat(pid_t pid);

// Waits for our own child; the shell's convention: 0..255, or 128 + signal.
Result<int> WaitExit(pid_t pid);

// "TERM", "SIGTERM", "15", "RTMIN+3" -> number; an unknown one is kInvalidConfig.
Result<int> SignalNumber(std::string_view name);

// Every signal to its default, nothing blocked: what a new program expects.
void ResetSignals();

Status SetChildSubreaper();

// Runs a helper program to its end (hooks, CNI plugins, newuidmap): no shell, own process group,
// killed with its group after the timeout.
struct Command {
  std::string path = {};               // absolute
  std::vector<std::string> args = {};  // args[0] is the name
  std::vector<std::string> env = {};
  std::string directory = {};                             // working directory; empty: the caller's
  std::string input = {};                                 // its stdin
  std::optional<std::chrono::milliseconds> timeout = {};  // none: for ever
  std::size_t output_limit_bytes = 1U << 20;              // of stdout and of stderr, each
};
struct CommandResult {
  int exit_code = 0;  // as WaitExit
  bool timed_out = false;
  std::string output, error_output;
};
// Safe in a program with threads: posix_spawn(3)-like, nothing between vfork and exec allocates.
Result<CommandResult> RunCommand(const Command& command);

}  // namespace coracle::sys
