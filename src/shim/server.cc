#include "server.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "coracle/sys/process.h"
#include "events.h"
#include "reaper.h"
#include "task_service.h"
#include "ttrpc_server.h"
#include "workers.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;

// The last events may take a moment longer than the last answer, but not for ever.
constexpr auto kFarewell = 5s;

// A daemon that died between our start and Create, or between Delete and Shutdown, may never know
// of us: without a container and without a client for so long, we end.
constexpr auto kUnneeded = 10s;

// A polite end: the socket's file goes, the container stays, and `delete` deals with it.
Result<UniqueFd> WatchTermination(EventLoop& loop) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return KernelError("sigprocmask(2)");
  UniqueFd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return KernelError("signalfd(2)");
  TRY(loop.Watch(fd.get(), EPOLLIN, [&loop](std::uint32_t) { loop.Stop(); }));
  return fd;
}

}  // namespace

Status Serve(ServerOptions options) {
  signal(SIGPIPE, SIG_IGN);  // a reader of output that is gone must not end us
  TRY(sys::SetChildSubreaper());
  const auto loop = TRY(EventLoop::Make());
  const UniqueFd termination = TRY(WatchTermination(*loop));
  const auto reaper = TRY(Reaper::Make(*loop));
  Workers workers(*loop, *reaper);
  EventPublisher events(*loop, options.events_address, options.container_namespace);
  ShimContext context{*loop, *reaper, workers, events, options.container_namespace};

  TtrpcServer* listener = nullptr;
  const auto shut_down = [&] {
    // Nobody connects any more; who is connected still gets the answers.
    listener->StopListening();
    unlink(options.socket_path.c_str());
    events.WhenIdle([&] { loop->Post([&] { loop->Stop(); }); });
    loop->At(EventLoop::Clock::now() + kFarewell, [&] { loop->Stop(); });
  };
  TaskService service(context, options.options, shut_down);
  TtrpcServer server(*loop, [&](const IncomingCall& call, const Reply& reply) {
    return service.Handle(call, reply);
  });
  listener = &server;
  const auto end_if_unneeded = [&] {
    loop->At(EventLoop::Clock::now() + kUnneeded, [&] {
      if (!service.HasTask() && !server.HasConnections()) shut_down();
    });
  };
  TRY(server.Listen(std::move(options.listening), end_if_unneeded));
  end_if_unneeded();
  loop->Run();
  unlink(options.socket_path.c_str());
  return {};
}

}  // namespace coracle::shim
