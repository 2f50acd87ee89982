// The built coracle-shim as a daemon sees it: real containers, real events.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <mutex>
#include <ranges>
#include <string_view>
#include <thread>

#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/oci/spec.h"
#include "coracle/shim/client.h"
#include "coracle/sys/socket.h"
#include "events/forward.pb.h"
#include "events/task.pb.h"
#include "support/temp_dir.h"
#include "ttrpc_server.h"

namespace coracle::shim {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBusybox = "/bin/busybox";

Client::Clock::time_point Soon() { return Client::Clock::now() + 60s; }

// What a daemon's events socket hears, as "topic id".
class EventSink {
 public:
  explicit EventSink(const std::string& path) {
    loop_ = *EventLoop::Make();
    server_ = std::make_unique<TtrpcServer>(*loop_, [this](const IncomingCall& call, Reply reply) {
      containerd::services::events::ttrpc::v1::ForwardRequest request;
      EXPECT_TRUE(request.ParseFromString(call.payload));
      const auto& envelope = request.envelope();
      EXPECT_EQ(envelope.namespace_(), "test");
      EXPECT_GT(envelope.timestamp().seconds(), 0);
      std::string text = envelope.topic();
      if (envelope.topic() == "/tasks/exit") {
        containerd::events::TaskExit exit;
        EXPECT_TRUE(exit.ParseFromString(envelope.event().value()));
        EXPECT_EQ(envelope.event().type_url(), "containerd.events.TaskExit");
        text += " " + exit.id() + " " + std::to_string(exit.exit_status());
      }
      {
        const std::scoped_lock lock(mutex_);
        topics_.push_back(text);
      }
      reply(std::string());
      return TtrpcServer::Found::kMethod;
    });
    EXPECT_TRUE(server_->Listen(*sys::ListenUnix(path, 0600, SOCK_STREAM | SOCK_NONBLOCK)));
    thread_ = std::thread([this] { loop_->Run(); });
  }
  ~EventSink() {
    loop_->Post([this] { loop_->Stop(); });
    thread_.join();
  }
  std::vector<std::string> topics() {
    const std::scoped_lock lock(mutex_);
    return topics_;
  }

 private:
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<TtrpcServer> server_;
  std::mutex mutex_;
  std::vector<std::string> topics_;
  std::thread thread_;
};

bool Until(const std::function<bool()>& done) {
  const auto give_up = Client::Clock::now() + 60s;
  while (!done() && Client::Clock::now() < give_up) std::this_thread::sleep_for(5ms);
  return done();
}

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    if (access(kBusybox, X_OK) != 0) GTEST_SKIP() << "needs " << kBusybox << " (busybox-static)";
    bundle_ = directory_.path() + "/" + kId;
    log_ = directory_.path() + "/0.log";
    std::filesystem::create_directories(bundle_ + "/rootfs/bin");
    for (const char* name : {"proc", "dev", "sys", "tmp"})
      std::filesystem::create_directories(bundle_ + "/rootfs/" + name);
    std::filesystem::copy_file(kBusybox, bundle_ + "/rootfs/bin/busybox");
    for (const char* name : {"sh", "sleep", "seq", "echo", "cat", "true", "kill", "tty", "stty"})
      std::filesystem::create_symlink("busybox", bundle_ + "/rootfs/bin/" + name);
    events_ = std::make_unique<EventSink>(directory_.path() + "/events");
    options_.shim_binary = CORACLE_SHIM;
    options_.container_namespace = "test";
    options_.id = kId;
    options_.bundle = bundle_;
    options_.events_address = directory_.path() + "/events";
    options_.runtime_options =
        Json{{"root", directory_.path() + "/root"}, {"ignoreMissingControllers", true}};
  }

  void TearDown() override {
    if (bundle_.empty()) return;
    client_.reset();
    EXPECT_TRUE(DeleteAfterShim(options_));
    EXPECT_FALSE(std::filesystem::exists(directory_.path() + "/root/" + kId));
  }

  static oci::Process ProcessOf(const std::string& script) {
    oci::Process process = *oci::ExampleSpec().process;
    process.terminal = false;
    process.args = {"/bin/sh", "-c", script};
    return process;
  }

  // A shim that is to make a container that will run `script`.
  void Launch(const std::string& script, bool terminal = false) {
    oci::Spec spec = oci::ExampleSpec();
    spec.root->path = "rootfs";
    spec.root->readonly = false;
    spec.process = ProcessOf(script);
    spec.process->terminal = terminal;
    spec.linux_.cgroups_path = "/coracle-shim-test-" + RandomHex(8);
    change_spec_(spec);
    ASSERT_TRUE(WriteFileAtomically(bundle_ + "/config.json", PrintJson(ToJson(spec))));
    auto client = Client::Launch(options_);
    ASSERT_TRUE(client) << client.error().message;
    client_ = *std::move(client);
  }

  [[nodiscard]] CreateRequest RequestOf(bool terminal) const {
    CreateRequest request{.id = kId, .bundle = bundle_, .rootfs = {}, .stdio = {}};
    request.stdio.stdout_uri = request.stdio.stderr_uri = "cri-log://" + log_;
    request.stdio.terminal = terminal;
    return request;
  }

  void Create(const std::string& script, bool terminal = false) {
    ASSERT_NO_FATAL_FAILURE(Launch(script, terminal));
    const auto pid = client_->Create(RequestOf(terminal), Soon());
    ASSERT_TRUE(pid) << pid.error().message;
    EXPECT_GT(*pid, 0);
    pid_ = *pid;
  }

  void Start() {
    const auto pid = client_->Start(kId, "", Soon());
    ASSERT_TRUE(pid) << pid.error().message;
  }

  Result<ExitStatus> Wait(const std::string& exec_id = "") {
    std::promise<Result<ExitStatus>> promise;
    client_->Wait(kId, exec_id, [&](Result<ExitStatus> e) { promise.set_value(std::move(e)); });
    return promise.get_future().get();
  }

  Result<ExitStatus> Exec(const std::string& exec_id, const std::string& script) {
    ExecRequest request{.id = kId, .exec_id = exec_id, .process = ProcessOf(script), .stdio = {}};
    if (auto added = client_->Exec(request, Soon()); !added) return added.error();
    if (auto pid = client_->Start(kId, exec_id, Soon()); !pid) return pid.error();
    return Wait(exec_id);
  }

  void DeleteAndShutDown() {
    const auto deleted = client_->Delete(kId, "", Soon());
    EXPECT_TRUE(deleted) << deleted.error().message;
    EXPECT_TRUE(client_->Shutdown(kId, Soon()));
    const std::string address = *ReadFile(bundle_ + "/address");
    EXPECT_TRUE(Until([&] { return access(address.c_str() + 7, F_OK) != 0; })) << address;
  }

  static constexpr const char* kId = "c1";
  test::TempDir directory_;
  std::string bundle_, log_;
  LaunchOptions options_;
  std::function<void(oci::Spec&)> change_spec_ = [](oci::Spec&) {};
  std::unique_ptr<EventSink> events_;
  std::unique_ptr<Client> client_;
  pid_t pid_ = 0;
};

TEST(PauseProgram, ReapsAndEndsWhenTold) {
  const pid_t pid = fork();
  if (pid == 0) {
    // A child of before the exec: an orphan that it has to reap.
    if (fork() == 0) _exit(0);
    execl(CORACLE_SHIM, "/coracle-pause", nullptr);
    _exit(127);
  }
  const std::string children =
      "/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children";
  const std::string name = "/proc/" + std::to_string(pid) + "/comm";
  EXPECT_TRUE(Until([&] {
    return ReadFile(name).value_or("").starts_with("coracle-shim") && *ReadFile(children) == "";
  }));
  kill(pid, SIGTERM);
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(ProgramTest, ItsOwnFileCannotBeWrittenFromAContainer) {
  ASSERT_NO_FATAL_FAILURE(Create("true"));
  std::string stat = *ReadFile("/proc/" + std::to_string(pid_) + "/stat");
  const std::string shim = std::to_string(std::stoi(stat.substr(stat.rfind(')') + 4)));
  const UniqueFd program(::open(("/proc/" + shim + "/exe").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(program) << shim;
  struct statvfs filesystem {};
  ASSERT_EQ(::fstatvfs(program.get(), &filesystem), 0);
  EXPECT_NE(filesystem.f_flag & ST_RDONLY, 0U);
  Start();
  EXPECT_TRUE(Wait());
  DeleteAndShutDown();
}

TEST_F(ProgramTest, AContainersWholeLife) {
  ASSERT_NO_FATAL_FAILURE(Create("echo out; echo err >&2; exit 7"));
  EXPECT_EQ(client_->State(kId, "", Soon())->status, TaskStatus::kCreated);
  EXPECT_EQ(ReadExitRecord(bundle_).error().code, Code::kNotFound);
  Start();
  const auto exit = Wait();
  ASSERT_TRUE(exit) << exit.error().message;
  EXPECT_EQ(exit->code, 7U);
  EXPECT_GT(exit->exited_at_unix_ns, 0U);
  EXPECT_FALSE(exit->oom_killed);
  EXPECT_EQ(ReadExitRecord(bundle_)->code, 7U);
  const std::string log = *ReadFile(log_);
  EXPECT_NE(log.find(" stdout F out\n"), std::string::npos) << log;
  EXPECT_NE(log.find(" stderr F err\n"), std::string::npos) << log;
  EXPECT_EQ(client_->State(kId, "", Soon())->status, TaskStatus::kStopped);
  EXPECT_EQ(*client_->Pids(kId, Soon()), std::vector<pid_t>{pid_});
  EXPECT_EQ(client_->Kill(kId, "", SIGTERM, false, Soon()).error().code, Code::kNotFound);
  EXPECT_TRUE(client_->Kill(kId, "", SIGKILL, true, Soon()));
  DeleteAndShutDown();
  EXPECT_TRUE(Until([&] { return events_->topics().size() == 4; }));
  EXPECT_EQ(events_->topics(), (std::vector<std::string>{"/tasks/create", "/tasks/start",
                                                         "/tasks/exit c1 7", "/tasks/delete"}));
}

TEST_F(ProgramTest, ExecsAndTheirEnds) {
  ASSERT_NO_FATAL_FAILURE(Create("sleep 1000"));
  Start();
  EXPECT_EQ(Exec("e1", "exit 4")->code, 4U);
  EXPECT_EQ(Exec("e1", "exit 4").error().code, Code::kAlreadyExists);
  EXPECT_EQ(Exec("e2", "kill -TERM $$")->code, 128U + SIGTERM);
  const auto deleted = client_->Delete(kId, "e1", Soon());
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_EQ(deleted->code, 4U);
  EXPECT_EQ(client_->Delete(kId, "e1", Soon()).error().code, Code::kNotFound);

  ExecRequest missing{.id = kId, .exec_id = "e3", .process = ProcessOf(""), .stdio = {}};
  missing.process.args = {"/nonexistent"};
  ASSERT_TRUE(client_->Exec(missing, Soon()));
  const auto started = client_->Start(kId, "e3", Soon());
  ASSERT_FALSE(started);
  EXPECT_NE(started.error().message.find("/nonexistent"), std::string::npos)
      << started.error().message;
  EXPECT_FALSE(Wait("e3"));

  EXPECT_EQ(client_->Delete(kId, "", Soon()).error().code, Code::kWrongState);
  EXPECT_TRUE(client_->Kill(kId, "", SIGKILL, false, Soon()));
  EXPECT_EQ(Wait()->code, 137U);
  DeleteAndShutDown();
}

TEST_F(ProgramTest, InitsExitIsTheLastOne) {
  ASSERT_NO_FATAL_FAILURE(Create("sleep 1000"));
  Start();
  for (const char* id : {"e1", "e2"}) {
    ExecRequest request{.id = kId, .exec_id = id, .process = ProcessOf("sleep 1000"), .stdio = {}};
    ASSERT_TRUE(client_->Exec(request, Soon()));
    ASSERT_TRUE(client_->Start(kId, id, Soon()));
  }
  ASSERT_TRUE(client_->Kill(kId, "", SIGKILL, false, Soon()));
  EXPECT_EQ(Wait()->code, 137U);
  DeleteAndShutDown();
  EXPECT_TRUE(Until([&] { return events_->topics().back() == "/tasks/delete"; }));
  const auto topics = events_->topics();
  ASSERT_GE(topics.size(), 2U);
  EXPECT_EQ(topics[topics.size() - 2], "/tasks/exit c1 137");
  EXPECT_EQ(std::ranges::count_if(topics, [](auto& t) { return t.starts_with("/tasks/exit"); }), 3);
}

TEST_F(ProgramTest, WithoutAPidNamespaceTheRestEndsWithInit) {
  change_spec_ = [](oci::Spec& spec) {
    std::erase_if(spec.linux_.namespaces, [](const auto& n) { return n.type == "pid"; });
  };
  ASSERT_NO_FATAL_FAILURE(Create("sleep 1000 & echo $!; exit 3"));
  Start();
  EXPECT_EQ(Wait()->code, 3U);
  const std::string log = *ReadFile(log_);
  const pid_t orphan = std::stoi(log.substr(log.rfind(' ')));
  EXPECT_TRUE(Until([&] { return kill(orphan, 0) != 0; })) << orphan;
  DeleteAndShutDown();
}

TEST_F(ProgramTest, ACreatedContainerCanBeDeleted) {
  ASSERT_NO_FATAL_FAILURE(Create("true"));
  const auto deleted = client_->Delete(kId, "", Soon());
  ASSERT_TRUE(deleted) << deleted.error().message;
  EXPECT_EQ(deleted->code, 137U);
  EXPECT_TRUE(client_->Shutdown(kId, Soon()));
}

TEST_F(ProgramTest, InitMayDieBeforeStart) {
  ASSERT_NO_FATAL_FAILURE(Create("true"));
  ASSERT_TRUE(client_->Kill(kId, "", SIGKILL, false, Soon()));
  EXPECT_EQ(Wait()->code, 137U);
  EXPECT_EQ(client_->Start(kId, "", Soon()).error().message, "cannot start a stopped process");
  DeleteAndShutDown();
}

TEST_F(ProgramTest, AFailedCreateLeavesAShimThatCanGo) {
  change_spec_ = [](oci::Spec& spec) { spec.process->args = {"/nonexistent"}; };
  Launch("");
  const auto pid = client_->Create(RequestOf(false), Soon());
  ASSERT_FALSE(pid);
  EXPECT_NE(pid.error().message.find("/nonexistent"), std::string::npos) << pid.error().message;
  EXPECT_EQ(client_->State(kId, "", Soon()).error().code, Code::kNotFound);
  EXPECT_EQ(client_->Delete(kId, "", Soon()).error().code, Code::kNotFound);
  EXPECT_TRUE(client_->Shutdown(kId, Soon()));
  EXPECT_TRUE(events_->topics().empty());
}

TEST_F(ProgramTest, PauseResumeAndStats) {
  ASSERT_NO_FATAL_FAILURE(Create("sleep 1000"));
  Start();
  ASSERT_TRUE(client_->Pause(kId, Soon()));
  EXPECT_EQ(client_->State(kId, "", Soon())->status, TaskStatus::kPaused);
  EXPECT_EQ(client_->Pause(kId, Soon()).error().code, Code::kWrongState);
  EXPECT_EQ(Exec("e1", "true").error().code, Code::kWrongState);
  ASSERT_TRUE(client_->Resume(kId, Soon()));
  EXPECT_EQ(client_->State(kId, "", Soon())->status, TaskStatus::kRunning);
  const auto stats = client_->Stats(kId, Soon());
  ASSERT_TRUE(stats) << stats.error().message;
  EXPECT_TRUE(stats->cpu_usage_us);
  const auto pids = client_->Pids(kId, Soon());
  ASSERT_TRUE(pids);
  EXPECT_NE(std::ranges::find(*pids, pid_), pids->end());
  ASSERT_TRUE(client_->Pause(kId, Soon()));
  EXPECT_TRUE(client_->Kill(kId, "", SIGKILL, true, Soon())) << "a paused container can be killed";
  EXPECT_EQ(Wait()->code, 137U);
  DeleteAndShutDown();
}

TEST_F(ProgramTest, NoLineIsLostWithoutADaemonNorByRotation) {
  ASSERT_NO_FATAL_FAILURE(Create("seq 1 200000"));
  Start();
  int rotations = 0;
  std::atomic<bool> ended = false;
  client_->Wait(kId, "", [&](const Result<ExitStatus>&) { ended = true; });
  while (!ended && rotations < 100) {
    rename(log_.c_str(), (log_ + "." + std::to_string(rotations++)).c_str());
    ASSERT_TRUE(client_->ReopenLog(kId, Soon()));
    std::this_thread::sleep_for(1ms);
  }
  ASSERT_TRUE(Until([&] { return ended.load(); }));
  std::string all;
  for (int i = 0; i < rotations; ++i)
    all += ReadFile(log_ + "." + std::to_string(i), 1UL << 30).value_or("");
  all += *ReadFile(log_, 1UL << 30);
  int expected = 0;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = all.find('\n', at);
    const std::string line = all.substr(at, end - at);
    at = end + 1;
    ASSERT_TRUE(line.ends_with(" stdout F " + std::to_string(++expected))) << line;
  }
  EXPECT_EQ(expected, 200'000);
  DeleteAndShutDown();
}

TEST_F(ProgramTest, ATerminal) {
  ASSERT_NO_FATAL_FAILURE(Create("tty; stty size; echo done", true));
  ASSERT_TRUE(client_->ResizePty(kId, "", 40, 100, Soon()));
  Start();
  EXPECT_EQ(Wait()->code, 0U);
  const std::string log = *ReadFile(log_);
  EXPECT_NE(log.find(" stdout F 40 100"), std::string::npos) << log;
  EXPECT_NE(log.find("/dev/"), std::string::npos) << log;
  EXPECT_NE(log.find(" stdout F done\r\n"), std::string::npos) << log;
  DeleteAndShutDown();
}

TEST_F(ProgramTest, AClientMayComeBack) {
  ASSERT_NO_FATAL_FAILURE(Create("sleep 0.2; exit 42"));
  Start();
  client_.reset();
  ASSERT_TRUE(Until([&] { return ReadExitRecord(bundle_).has_value(); }));
  auto client = Client::Reconnect(bundle_, "test", 10s);
  ASSERT_TRUE(client) << client.error().message;
  client_ = *std::move(client);
  const auto state = client_->State(kId, "", Soon());
  ASSERT_TRUE(state);
  EXPECT_EQ(state->status, TaskStatus::kStopped);
  EXPECT_EQ(state->exit.code, 42U);
  EXPECT_EQ(Wait()->code, 42U);
  DeleteAndShutDown();
}

TEST_F(ProgramTest, DeleteCleansUpAfterAShimThatWasKilled) {
  ASSERT_NO_FATAL_FAILURE(Create("sleep 1000"));
  Start();
  // The shim is the parent of its container.
  std::string stat = *ReadFile("/proc/" + std::to_string(pid_) + "/stat");
  const pid_t shim = std::stoi(stat.substr(stat.rfind(')') + 4));
  ASSERT_GT(shim, 1);
  std::promise<Result<ExitStatus>> promise;
  client_->Wait(kId, "", [&](Result<ExitStatus> e) { promise.set_value(std::move(e)); });
  ASSERT_EQ(kill(shim, SIGKILL), 0);
  EXPECT_EQ(promise.get_future().get().error().code, Code::kProtocol);
  const auto exit = DeleteAfterShim(options_);
  ASSERT_TRUE(exit) << exit.error().message;
  EXPECT_EQ(exit->code, 137U);
  EXPECT_TRUE(Until([&] { return kill(pid_, 0) != 0; }));
  EXPECT_TRUE(DeleteAfterShim(options_)) << "twice is fine";
}

// The client above a foreign shim: runc's, of the containerd that is on PATH, or those that
// FOREIGN_SHIMS= names (paths, by colons).
TEST_F(ProgramTest, ForeignShims) {
  const char* named = getenv("FOREIGN_SHIMS");
  std::vector<std::string> shims;
  for (const auto part : std::views::split(
           std::string_view(named != nullptr ? named : "/usr/bin/containerd-shim-runc-v2"), ':'))
    shims.emplace_back(part.begin(), part.end());
  for (const auto& shim : shims) {
    if (access(shim.c_str(), X_OK) != 0) GTEST_SKIP() << shim << " is not there";
    options_.shim_binary = shim;
    options_.runtime_options.reset();
    ASSERT_NO_FATAL_FAILURE(Launch("exit 7"));
    CreateRequest request = RequestOf(false);
    request.stdio = {};
    const auto pid = client_->Create(request, Soon());
    ASSERT_TRUE(pid) << shim << ": " << pid.error().message;
    EXPECT_EQ(client_->State(kId, "", Soon())->status, TaskStatus::kCreated);
    std::promise<Result<ExitStatus>> promise;
    client_->Wait(kId, "", [&](Result<ExitStatus> e) { promise.set_value(std::move(e)); });
    Start();
    EXPECT_EQ(promise.get_future().get()->code, 7U) << shim;
    EXPECT_TRUE(client_->Kill(kId, "", SIGKILL, true, Soon()));
    EXPECT_EQ(client_->Delete(kId, "", Soon())->code, 7U);
    EXPECT_TRUE(client_->Shutdown(kId, Soon()));
    EXPECT_TRUE(DeleteAfterShim(options_));
  }
}

}  // namespace
}  // namespace coracle::shim
