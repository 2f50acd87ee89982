// The caller's side of a process in the foreground (`run`, `exec`): passes signals on, is the
// other end of its terminal, reaps, and brings back its exit code.
//
//   Foreground foreground;
//   TRY(foreground.Prepare());                  // before the process exists: no signal is lost
//   io.console_fd = foreground.console_fd();
//   ... create ...
//   TRY(foreground.Attach());
//   ... start ...
//   const int code = TRY(foreground.Wait(pid));
#pragma once

#include <sys/types.h>
#include <termios.h>

#include <functional>
#include <optional>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime::cli {

class Foreground {
 public:
  Foreground() = default;
  ~Foreground();  // restores the caller's terminal
  Foreground(const Foreground&) = delete;
  Foreground& operator=(const Foreground&) = delete;

  // Blocks all signals, which then wait in a signalfd(2).
  Status Prepare();
  // The socket for the master of the process's terminal, if it has one.
  [[nodiscard]] int console_fd() const { return console_far_.get(); }
  // Takes the master, if one came, and makes the caller's terminal raw.
  Status Attach();
  // Beside the process: one more descriptor, until `readable` says false.
  struct Watch {
    int fd = -1;
    std::function<bool()> readable = {};
  };
  // 0..255, or 128 + signal.
  Result<int> Wait(pid_t pid, Watch watch);
  Result<int> Wait(pid_t pid) { return Wait(pid, {}); }

 private:
  Status MakeRaw();
  void CopyWindowSize() const;
  Status PassSignals(int pidfd);
  std::optional<int> Reap(pid_t pid);
  void ReadInput();
  void WriteInput();
  bool CopyOutput();
  Result<int> Poll(pid_t pid, int pidfd, Watch& watch);

  UniqueFd signals_, console_near_, console_far_, master_;
  std::optional<termios> saved_;
  std::string input_;  // read from our standard input, not yet taken by the terminal
  bool input_open_ = true;
};

}  // namespace coracle::runtime::cli
