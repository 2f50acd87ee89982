// The parts of the shim that deal with real processes: workers, reaper, stdio.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>

#include "container_io.h"
#include "coracle/base/file.h"
#include "reaper.h"
#include "support/temp_dir.h"
#include "workers.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;

IoRequest Out(const std::string& uri) {
  IoRequest request;
  request.stdout_ = uri;
  request.container_id = "c1";
  return request;
}

IoRequest Both(const std::string& uri) {
  IoRequest request = Out(uri);
  request.stderr_ = uri;
  return request;
}

class ProcessesTest : public testing::Test {
 protected:
  void SetUp() override {
    loop_ = *EventLoop::Make();
    reaper_ = *Reaper::Make(*loop_);
    workers_ = std::make_unique<Workers>(*loop_, *reaper_);
  }
  void RunUntil(const std::function<bool()>& done) {
    const auto give_up = EventLoop::Clock::now() + 30s;
    std::function<void()> look = [&] {
      if (done() || EventLoop::Clock::now() > give_up) return loop_->Stop();
      loop_->At(EventLoop::Clock::now() + 1ms, look);
    };
    loop_->At(EventLoop::Clock::now(), look);  // not at once: Run() forgets an earlier Stop()
    loop_->Run();
  }
  // Runs `script` with the descriptors of `io` and waits for its end.
  void RunShell(ContainerIo& io, const char* script) {
    const auto fds = io.ProcessFds();
    const pid_t pid = fork();
    if (pid == 0) {
      for (int fd = 0; fd < 3; ++fd) dup2(fds[static_cast<std::size_t>(fd)], fd);
      execl("/bin/sh", "sh", "-c", script, nullptr);
      _exit(127);
    }
    io.CloseProcessFds();
    bool ended = false;
    reaper_->Expect(pid, [&](const ProcessExit&) { ended = true; });
    RunUntil([&] { return ended; });
    EXPECT_TRUE(ended);
    io.ProcessEnded();
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Reaper> reaper_;
  std::unique_ptr<Workers> workers_;
  test::TempDir directory_;
};

TEST_F(ProcessesTest, AWorkersResultComesBack) {
  std::vector<Result<std::string>> results;
  const auto collect = [&](Result<std::string> result) { results.push_back(std::move(result)); };
  workers_->Run(
      {}, [] { return std::string("done"); }, collect);
  RunUntil([&] { return results.size() == 1; });
  workers_->Run(
      {}, [] { return std::string(); }, collect);
  RunUntil([&] { return results.size() == 2; });
  workers_->Run(
      {},
      []() -> Result<std::string> {
        return Error{Code::kNotFound, ENOENT, "no"};
      },
      collect);
  RunUntil([&] { return results.size() == 3; });
  workers_->Run(
      {}, []() -> Result<std::string> { abort(); }, collect);
  RunUntil([&] { return results.size() == 4; });
  ASSERT_EQ(results.size(), 4U);
  EXPECT_EQ(*results[0], "done");
  EXPECT_EQ(*results[1], "");
  EXPECT_EQ(results[2].error().code, Code::kNotFound);
  EXPECT_EQ(results[2].error().errnum, ENOENT);
  EXPECT_EQ(results[3].error().message, "the worker ended without a result: exit status 134");
}

TEST_F(ProcessesTest, AWorkerHasNoDescriptorButItsOwn) {
  std::optional<std::string> listed;
  const UniqueFd stray(open("/dev/null", O_RDONLY));
  const auto work = []() -> Result<std::string> {
    std::string fds;
    for (int fd = 0; fd < 1024; ++fd) {
      if (fcntl(fd, F_GETFD) >= 0) fds += std::to_string(fd) + " ";
    }
    return fds;
  };
  workers_->Run({}, work, [&](Result<std::string> result) { listed = *result; });
  RunUntil([&] { return listed.has_value(); });
  EXPECT_EQ(*listed, "0 1 2 3 ");
}

TEST_F(ProcessesTest, AChildThatEndsBeforeItsPidIsKnownIsNotLost) {
  std::optional<std::uint32_t> code;
  // Ends at once, and long before the worker says which one it was.
  const auto work = []() -> Result<std::string> {
    const long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (pid == 0) _exit(42);
    usleep(50'000);
    return std::to_string(pid);
  };
  workers_->Run({}, work, [&](Result<std::string> result) {
    reaper_->Expect(std::stoi(*result), [&](const ProcessExit& exit) { code = exit.code; });
  });
  RunUntil([&] { return code.has_value(); });
  EXPECT_EQ(code, 42U);
}

TEST_F(ProcessesTest, BothStreamsGoIntoOneCriLog) {
  const std::string uri = "cri-log://" + directory_.path() + "/0.log";
  auto io = ContainerIo::Open(*loop_, Both(uri));
  ASSERT_TRUE(io) << io.error().message;
  RunShell(**io, "echo out; echo err >&2; printf end");
  io->reset();
  const std::string log = *ReadFile(directory_.path() + "/0.log");
  EXPECT_NE(log.find(" stdout F out\n"), std::string::npos) << log;
  EXPECT_NE(log.find(" stderr F err\n"), std::string::npos) << log;
  EXPECT_NE(log.find(" stdout P end\n"), std::string::npos) << log;
}

TEST_F(ProcessesTest, TheLogIsCompleteOnceTheProcessHasEnded) {
  const std::string uri = "cri-log://" + directory_.path() + "/0.log";
  auto io = ContainerIo::Open(*loop_, Both(uri));
  ASSERT_TRUE(io);
  RunShell(**io, "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done");
  const std::string log = *ReadFile(directory_.path() + "/0.log");
  EXPECT_EQ(std::ranges::count(log, '\n'), 20000);
  EXPECT_TRUE(log.ends_with(" stdout F 19999\n"));
}

TEST_F(ProcessesTest, AFifoIsHandedOverAndTheOtherSideSeesTheEnd) {
  const std::string path = directory_.path() + "/out";
  ASSERT_EQ(mkfifo(path.c_str(), 0700), 0);
  auto io = ContainerIo::Open(*loop_, Out(path));
  ASSERT_TRUE(io) << io.error().message;
  const UniqueFd reader(open(path.c_str(), O_RDONLY | O_NONBLOCK));
  RunShell(**io, "echo through");
  char buffer[64];
  EXPECT_EQ(read(reader.get(), buffer, sizeof buffer), 8);
  EXPECT_EQ(read(reader.get(), buffer, sizeof buffer), 0) << "someone still holds the FIFO";
}

TEST_F(ProcessesTest, AFifoWithoutReaderDoesNotEndTheWriter) {
  const std::string path = directory_.path() + "/out";
  ASSERT_EQ(mkfifo(path.c_str(), 0700), 0);
  auto io = ContainerIo::Open(*loop_, Out(path));
  ASSERT_TRUE(io);
  const std::string mark = directory_.path() + "/mark";
  RunShell(**io, ("echo unread && echo alive >" + mark).c_str());
  EXPECT_TRUE(std::filesystem::exists(mark));
}

TEST_F(ProcessesTest, StdinEndsWhenBothClientAndShimHaveClosed) {
  const std::string path = directory_.path() + "/in";
  const std::string result = directory_.path() + "/result";
  ASSERT_EQ(mkfifo(path.c_str(), 0700), 0);
  IoRequest request;
  request.stdin_ = path;
  request.is_init = true;
  auto io = ContainerIo::Open(*loop_, request);
  ASSERT_TRUE(io) << io.error().message;
  EXPECT_EQ(open(path.c_str(), O_WRONLY | O_NONBLOCK), -1) << "too early for the client";
  ASSERT_TRUE((*io)->ConnectStdin());
  {
    const UniqueFd client(open(path.c_str(), O_WRONLY | O_NONBLOCK));
    ASSERT_EQ(write(client.get(), "hello", 5), 5);
  }
  (*io)->CloseStdin();
  RunShell(**io, ("cat >" + result).c_str());
  EXPECT_EQ(*ReadFile(result), "hello");
}

TEST_F(ProcessesTest, StreamsShareAFile) {
  const std::string uri = "file://" + directory_.path() + "/new/directory/file";
  auto io = ContainerIo::Open(*loop_, Both(uri));
  ASSERT_TRUE(io) << io.error().message;
  RunShell(**io, "echo out; echo err >&2");
  EXPECT_EQ(*ReadFile(directory_.path() + "/new/directory/file"), "out\nerr\n");
}

TEST_F(ProcessesTest, ALoggerBinaryGetsTheOutput) {
  const std::string program = directory_.path() + "/logger";
  const std::string result = directory_.path() + "/result";
  ASSERT_TRUE(WriteFileAtomically(
      program, "#!/bin/sh\nexec 5>&-\necho $CONTAINER_ID $* >$2\ncat <&3 >>$2\necho end >>$2\n",
      0700));
  const std::string uri = "binary://" + program + "?to=" + result;
  auto io = ContainerIo::Open(*loop_, Both(uri));
  ASSERT_TRUE(io) << io.error().message;
  RunShell(**io, "echo logged");
  RunUntil([&] { return ReadFile(result).value_or("").ends_with("end\n"); });
  EXPECT_EQ(*ReadFile(result), "c1 to " + result + "\nlogged\nend\n");
}

TEST_F(ProcessesTest, BadStdioIsNamed) {
  const auto message = [&](const std::string& uri) {
    auto io = ContainerIo::Open(*loop_, Out(uri));
    return io ? "" : io.error().message;
  };
  EXPECT_TRUE(message("ftp:///x").starts_with("stdio ftp:///x: unknown scheme; allowed are"));
  EXPECT_TRUE(message("cri-log://x").starts_with("stdio cri-log://x: not an absolute path"));
  EXPECT_TRUE(message("/dev/null").starts_with("stdio /dev/null: not a FIFO"));
}

}  // namespace
}  // namespace coracle::shim
