#include "coracle/shim/client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <future>
#include <thread>

#include "bootstrap.pb.h"
#include "client_launch.h"
#include "coracle/base/file.h"
#include "coracle/sys/socket.h"
#include "exit_record.h"
#include "metrics.h"
#include "support/temp_dir.h"
#include "task/v2/task.pb.h"
#include "ttrpc_server.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;
namespace task = containerd::task::v2;

Client::Clock::time_point Soon() { return Client::Clock::now() + 5s; }

// A shim that knows one version of the Task service, in a thread of its own.
class FakeShim {
 public:
  FakeShim(const std::string& socket_path, std::string service) : service_(std::move(service)) {
    loop_ = *EventLoop::Make();
    server_ = std::make_unique<TtrpcServer>(
        *loop_, [this](const IncomingCall& call, Reply reply) { return Handle(call, reply); });
    EXPECT_TRUE(server_->Listen(*sys::ListenUnix(socket_path, 0600, SOCK_STREAM | SOCK_NONBLOCK)));
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~FakeShim() {
    loop_->Post([this] { loop_->Stop(); });
    thread_.join();
  }
  void EndWait() {
    loop_->Post([this] {
      task::WaitResponse response;
      response.set_exit_status(7);
      response.mutable_exited_at()->set_seconds(3);
      response.mutable_exited_at()->set_nanos(4);
      wait_(response.SerializeAsString());
    });
  }
  void LoseConnections() {
    loop_->Post([this] { server_.reset(); });
  }

 private:
  TtrpcServer::Found Handle(const IncomingCall& call, const Reply& reply) {
    if (call.service != service_) return TtrpcServer::Found::kNothing;
    if (call.method == "Connect" || call.method == "Shutdown") {
      reply(std::string());
    } else if (call.method == "Create") {
      task::CreateTaskRequest request;
      EXPECT_TRUE(request.ParseFromString(call.payload));
      EXPECT_EQ(request.stdout(), "cri-log:///x");
      EXPECT_EQ(request.rootfs_size(), 1);
      EXPECT_EQ(request.rootfs(0).options(0), "ro");
      task::CreateTaskResponse response;
      response.set_pid(4711);
      reply(response.SerializeAsString());
    } else if (call.method == "Kill") {
      reply(Error{Code::kNotFound, 0, "process already finished: not found"});
    } else if (call.method == "Wait") {
      wait_ = reply;
    } else if (call.method == "Pause") {
      // never answered
    } else {
      return TtrpcServer::Found::kServiceOnly;
    }
    return TtrpcServer::Found::kMethod;
  }

  std::string service_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<TtrpcServer> server_;
  Reply wait_;
  std::thread thread_;
};

class ClientTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    bundle_ = directory_.path() + "/c1";
    ASSERT_TRUE(MakeDirectories(bundle_));
    ASSERT_TRUE(WriteFileAtomically(bundle_ + "/address", "unix://" + bundle_ + "/s"));
    shim_ = std::make_unique<FakeShim>(bundle_ + "/s", GetParam());
    auto client = Client::Reconnect(bundle_, "ns", 5s);
    ASSERT_TRUE(client) << client.error().message;
    client_ = *std::move(client);
  }
  test::TempDir directory_;
  std::string bundle_;
  std::unique_ptr<FakeShim> shim_;
  std::unique_ptr<Client> client_;
};

TEST_P(ClientTest, CallsFindTheirAnswers) {
  CreateRequest request{.id = "c1", .bundle = bundle_, .rootfs = {}, .stdio = {}};
  request.rootfs.emplace_back().options = {"ro"};
  request.stdio.stdout_uri = "cri-log:///x";
  const auto pid = client_->Create(request, Soon());
  ASSERT_TRUE(pid) << pid.error().message;
  EXPECT_EQ(*pid, 4711);
  const auto killed = client_->Kill("c1", "", 15, false, Soon());
  EXPECT_EQ(killed.error().code, Code::kNotFound);
  EXPECT_TRUE(client_->Shutdown("c1", Soon()));
  EXPECT_EQ(client_->Kill("c1", "", 15, false, Soon()).error().message, "ttrpc: closed");
}

TEST_P(ClientTest, WaitTellsTheExitAndWhatTheRecordKnows) {
  ASSERT_TRUE(WriteExitRecord(
      bundle_, {.pid = 1, .exit = {.code = 7, .exited_at_unix_ns = 9, .oom_killed = true}}));
  std::promise<Result<ExitStatus>> promise;
  client_->Wait("c1", "", [&](Result<ExitStatus> exit) { promise.set_value(std::move(exit)); });
  // Answers come in order here, so the Wait has arrived once this one is back.
  (void)client_->Kill("c1", "", 15, false, Soon());
  shim_->EndWait();
  const auto exit = promise.get_future().get();
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 7U);
  EXPECT_EQ(exit->exited_at_unix_ns, 3'000'000'004U);
  EXPECT_TRUE(exit->oom_killed);
}

TEST_P(ClientTest, ALostShimEndsWait) {
  std::promise<Result<ExitStatus>> promise;
  client_->Wait("c1", "", [&](Result<ExitStatus> exit) { promise.set_value(std::move(exit)); });
  shim_->LoseConnections();
  EXPECT_EQ(promise.get_future().get().error().message, "ttrpc: closed");
}

TEST_P(ClientTest, ForgettingTheClientEndsWaitToo) {
  std::promise<Result<ExitStatus>> promise;
  client_->Wait("c1", "", [&](Result<ExitStatus> exit) { promise.set_value(std::move(exit)); });
  client_.reset();
  EXPECT_EQ(promise.get_future().get().error().message, "ttrpc: closed");
}

TEST_P(ClientTest, TheDeadlineEndsACall) {
  const auto paused = client_->Pause("c1", Client::Clock::now() + 20ms);
  EXPECT_EQ(paused.error().errnum, ETIMEDOUT);
}

INSTANTIATE_TEST_SUITE_P(Versions, ClientTest,
                         testing::Values("containerd.task.v2.Task", "containerd.task.v3.Task"));

TEST(StartAnswer, IsReadInAllThreeForms) {
  EXPECT_EQ(*ParseStartAnswer("unix:///run/s\n"), "unix:///run/s");
  EXPECT_EQ(*ParseStartAnswer(R"({"version":2,"address":"unix:///run/j","protocol":"ttrpc"})"),
            "unix:///run/j");
  containerd::runtime::bootstrap::BootstrapResult result;
  result.set_version(3);
  result.set_address("unix:///run/p");
  result.set_protocol("ttrpc");
  EXPECT_EQ(*ParseStartAnswer(result.SerializeAsString()), "unix:///run/p");
  EXPECT_EQ(ParseStartAnswer("warning: hello").error().code, Code::kProtocol);
}

// What Launch leaves and demands, with a program that behaves like runc's shim 1.6.
TEST(Launch, TriesAgainWithoutParametersForAnOldShim) {
  test::TempDir directory;
  const std::string shim = directory.path() + "/shim";
  ASSERT_TRUE(WriteFileAtomically(shim,
                                  "#!/bin/sh\n"
                                  "test -p log || exit 9\n"
                                  "if [ \"$(wc -c)\" -gt 0 ]; then\n"
                                  "  echo 'type with url c1: not found' >&2; exit 1\n"
                                  "fi\n"
                                  "echo unix://$PWD/s\n",
                                  0700));
  FakeShim server(directory.path() + "/s", "containerd.task.v2.Task");
  LaunchOptions options{.shim_binary = shim, .id = "c1", .bundle = directory.path()};
  auto client = Client::Launch(options);
  ASSERT_TRUE(client) << client.error().message;
  EXPECT_EQ(*ReadFile(directory.path() + "/address"), "unix://" + directory.path() + "/s");
}

TEST(Launch, SaysWhatTheShimSaid) {
  test::TempDir directory;
  const std::string shim = directory.path() + "/shim";
  ASSERT_TRUE(WriteFileAtomically(shim, "#!/bin/sh\necho no luck >&2; exit 3\n", 0700));
  LaunchOptions options{.shim_binary = shim, .id = "c1", .bundle = directory.path()};
  const auto client = Client::Launch(options);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().message, "start of " + shim + ": exit status 3: no luck");
}

TEST(ExitRecord, IsNotFoundUntilWritten) {
  test::TempDir directory;
  EXPECT_EQ(ReadExitRecord(directory.path()).error().code, Code::kNotFound);
  ASSERT_TRUE(WriteExitRecord(directory.path(), {.pid = 5, .exit = {.code = 137}}));
  EXPECT_EQ(ReadExitRecord(directory.path())->code, 137U);
  EXPECT_EQ(ReadWholeExitRecord(directory.path())->pid, 5);
}

TEST(Metrics, KeepWhatIsThereAndWhatIsNot) {
  runtime::CgroupStats stats;
  stats.cpu_usage_us = 1;
  stats.memory_usage = 2;
  stats.memory_limit = ~0ULL;
  stats.oom_kill = 3;
  stats.io = {{.major = 8, .minor = 1, .rbytes = 4, .wbytes = 5, .rios = 6, .wios = 7}};
  stats.memory_full = runtime::Pressure{.avg10 = 0.5, .avg60 = 1, .avg300 = 2, .total_us = 9};
  const auto back = DecodeMetrics(EncodeMetrics(stats));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->cpu_usage_us, 1U);
  EXPECT_EQ(back->memory_usage, 2U);
  EXPECT_EQ(back->memory_limit, ~0ULL);
  EXPECT_EQ(back->oom_kill, 3U);
  ASSERT_EQ(back->io.size(), 1U);
  EXPECT_EQ(back->io[0].wios, 7U);
  ASSERT_TRUE(back->memory_full);
  EXPECT_EQ(back->memory_full->total_us, 9U);
  EXPECT_EQ(back->memory_full->avg10, 0.5);
  EXPECT_FALSE(back->pids_current);
  EXPECT_FALSE(back->memory_some);
}

}  // namespace
}  // namespace coracle::shim
