// sd_notify(3) through us, as runc does it: what a program in the container says of its readiness
// to /run/notify/notify.sock goes to the NOTIFY_SOCKET of our caller.
#pragma once

#include <sys/types.h>

#include <string>

#include "cli.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime::cli {

class Notify {
 public:
  // Whether our caller wants to be told.
  static bool IsWanted();
  // Listens for the container `id`, if its `create` was told to prepare for it. Before `start`.
  Status Open(const Runtime& runtime, const std::string& id);
  // Waits until the program says READY, or has ended; then tells that `pid` is the main process.
  Status AwaitReady(pid_t pid) const;
  // Takes one message; true once it was READY, and our caller has been told.
  Result<bool> Take(pid_t main_pid) const;
  [[nodiscard]] int fd() const { return socket_.get(); }  // -1: nothing to do

 private:
  UniqueFd socket_;
};

}  // namespace coracle::runtime::cli
