#include "client_loop.h"

#include <signal.h>

#include <future>
#include <mutex>
#include <system_error>
#include <utility>

namespace coracle::shim {
namespace {

// Signals are the business of the program's own threads.
std::thread StartWithoutSignals(EventLoop& loop) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread;
  try {
    thread = std::thread([&loop] { loop.Run(); });
  } catch (const std::system_error&) {
    // Not joinable: the caller says so.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

Result<std::shared_ptr<ClientLoop>> ClientLoop::Shared() {
  static std::mutex mutex;
  static std::weak_ptr<ClientLoop> current;
  const std::scoped_lock lock(mutex);
  if (auto alive = current.lock()) return alive;
  auto loop = TRY(EventLoop::Make());
  std::shared_ptr<ClientLoop> made(new ClientLoop(std::move(loop)));
  made->thread_ = StartWithoutSignals(*made->loop_);
  if (!made->thread_.joinable()) return KernelError("pthread_create(3)", EAGAIN);
  current = made;
  return made;
}

ClientLoop::~ClientLoop() {
  if (!thread_.joinable()) return;
  loop_->Post([this] { loop_->Stop(); });
  thread_.join();
}

void ClientLoop::RunInLoop(const EventLoop::Work& work) {
  const auto done = std::make_shared<std::promise<void>>();
  loop_->Post([&work, done] {
    work();
    done->set_value();
  });
  done->get_future().wait();
}

}  // namespace coracle::shim
