// The one thread that all clients of a process share: it reads every connection to every shim.
// A client is never destroyed in it (in an OnExit): its destructor waits for the thread.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "coracle/base/result.h"
#include "event_loop.h"

namespace coracle::shim {

class ClientLoop {
 public:
  // Started with the first client, ended with the last.
  static Result<std::shared_ptr<ClientLoop>> Shared();
  ~ClientLoop();
  ClientLoop(const ClientLoop&) = delete;
  ClientLoop& operator=(const ClientLoop&) = delete;

  EventLoop& loop() { return *loop_; }
  // Runs `work` in the loop and returns when it has run.
  void RunInLoop(const EventLoop::Work& work);

 private:
  explicit ClientLoop(std::unique_ptr<EventLoop> loop) : loop_(std::move(loop)) {}

  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace coracle::shim
