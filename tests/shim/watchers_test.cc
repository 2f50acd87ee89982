// What the shim notices and tells: OOM kills, events, a terminal's output.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "container_io.h"
#include "coracle/base/file.h"
#include "coracle/sys/socket.h"
#include "event_loop.h"
#include "events.h"
#include "events/forward.pb.h"
#include "oom_watcher.h"
#include "support/temp_dir.h"
#include "ttrpc_server.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;

class WatchersTest : public testing::Test {
 protected:
  void SetUp() override { loop_ = *EventLoop::Make(); }
  bool RunUntil(const std::function<bool()>& done) {
    const auto give_up = EventLoop::Clock::now() + 30s;
    std::function<void()> look = [&] {
      if (done() || EventLoop::Clock::now() > give_up) return loop_->Stop();
      loop_->At(EventLoop::Clock::now() + 1ms, look);
    };
    look();
    loop_->Run();
    return done();
  }
  void WriteInPlace(const std::string& path, const std::string& text) {
    const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT, 0600));
    ASSERT_EQ(write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  std::unique_ptr<EventLoop> loop_;
  test::TempDir directory_;
};

TEST_F(WatchersTest, AnOomKillIsToldOnce) {
  const std::string file = directory_.path() + "/memory.events";
  WriteInPlace(file, "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n");
  int told = 0;
  const auto watcher = OomWatcher::Start(*loop_, directory_.path(), [&] { ++told; });
  ASSERT_TRUE(watcher) << watcher.error().message;
  EXPECT_FALSE((*watcher)->Check());
  WriteInPlace(file, "low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n");
  EXPECT_TRUE(RunUntil([&] { return told == 1; }));
  EXPECT_TRUE((*watcher)->Check());
  EXPECT_EQ(told, 1);
}

TEST_F(WatchersTest, WithoutMemoryControllerThereIsNothingToWatch) {
  const auto watcher = OomWatcher::Start(*loop_, directory_.path(), [] { FAIL(); });
  ASSERT_TRUE(watcher) << watcher.error().message;
  EXPECT_FALSE((*watcher)->Check());
}

TEST_F(WatchersTest, EventsWaitForADaemonThatIsAwayAndKeepTheirOrder) {
  const std::string socket = directory_.path() + "/events";
  EventPublisher publisher(*loop_, "unix://" + socket, "ns");
  for (const char* topic : {"/a", "/b", "/c"}) publisher.Publish(topic, "type", "value");
  std::vector<std::string> heard;
  TtrpcServer server(*loop_, [&](const IncomingCall& call, const Reply& reply) {
    containerd::services::events::ttrpc::v1::ForwardRequest request;
    EXPECT_TRUE(request.ParseFromString(call.payload));
    EXPECT_EQ(request.envelope().event().type_url(), "type");
    heard.push_back(request.envelope().topic());
    reply(std::string());
    return TtrpcServer::Found::kMethod;
  });
  ASSERT_TRUE(server.Listen(*sys::ListenUnix(socket, 0600, SOCK_STREAM | SOCK_NONBLOCK)));
  bool is_idle = false;
  publisher.WhenIdle([&] { is_idle = true; });
  EXPECT_TRUE(RunUntil([&] { return is_idle; }));
  EXPECT_EQ(heard, (std::vector<std::string>{"/a", "/b", "/c"}));
}

TEST_F(WatchersTest, NobodyToTellIsNoReasonToWait) {
  EventPublisher publisher(*loop_, "", "ns");
  publisher.Publish("/a", "type", "value");
  bool is_idle = false;
  publisher.WhenIdle([&] { is_idle = true; });
  EXPECT_TRUE(is_idle);
}

// The other side of a pty, as a container has it.
UniqueFd OpenSlave(int master) {
  EXPECT_EQ(grantpt(master), 0);
  EXPECT_EQ(unlockpt(master), 0);
  return UniqueFd(open(ptsname(master), O_RDWR | O_NOCTTY | O_NONBLOCK));
}

TEST_F(WatchersTest, ATerminalsOutputWaitsForASlowReader) {
  const std::string fifo = directory_.path() + "/out";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0700), 0);
  IoRequest request;
  request.stdout_ = fifo;
  request.terminal = true;
  auto io = ContainerIo::Open(*loop_, request);
  ASSERT_TRUE(io) << io.error().message;
  const UniqueFd reader(open(fifo.c_str(), O_RDONLY | O_NONBLOCK));
  UniqueFd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  UniqueFd slave = OpenSlave(master.get());
  ASSERT_TRUE((*io)->AttachTerminal(std::move(master)));

  // More than the FIFO holds (64 KiB), so that the copying has to stop and go on.
  constexpr std::size_t kTotal = 300'000;
  std::size_t written = 0;
  std::size_t got = 0;
  const std::string block(1000, 'x');
  bool is_reading = false;
  EXPECT_TRUE(RunUntil([&] {
    if (written < kTotal) {
      const ssize_t n = write(slave.get(), block.data(), block.size());
      if (n > 0) written += static_cast<std::size_t>(n);
      is_reading = is_reading || n < 0;  // only once everything is full
    }
    char buffer[4096];
    const ssize_t n = is_reading ? read(reader.get(), buffer, sizeof buffer) : 0;
    if (n > 0) got += static_cast<std::size_t>(n);
    return written >= kTotal;
  }));
  EXPECT_TRUE(is_reading) << "the test never filled the FIFO";
  slave.reset();
  (*io)->ProcessEnded();
  bool is_drained = (*io)->IsDrained();
  (*io)->OnDrained([&] { is_drained = true; });
  EXPECT_TRUE(RunUntil([&] {
    char buffer[4096];
    const ssize_t n = read(reader.get(), buffer, sizeof buffer);
    if (n > 0) got += static_cast<std::size_t>(n);
    return is_drained && n == 0;
  }));
  EXPECT_EQ(got, written);
}

}  // namespace
}  // namespace coracle::shim
