// Each step of the two tables fails in turn: the error names it, and nothing is left.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "container_create.h"
#include "coracle/base/file.h"
#include "fakes.h"
#include "rpcs.h"
#include "sandbox_run.h"

namespace coracle::cri {
namespace {

class Steps : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "namespaces and mounts need root";
  }
  Daemon& daemon() { return *fake.daemon; }
  void FailAt(std::string_view name) {
    daemon().observer.fault = [name](std::string_view step) { return step == name; };
  }
  static v1::RunPodSandboxRequest Pod(v1::NamespaceMode pid = v1::CONTAINER) {
    v1::RunPodSandboxRequest request;
    auto* metadata = request.mutable_config()->mutable_metadata();
    metadata->set_name("pod");
    metadata->set_namespace_("default");
    metadata->set_uid("uid");
    request.mutable_config()->set_hostname("pod");
    request.mutable_config()
        ->mutable_linux()
        ->mutable_security_context()
        ->mutable_namespace_options()
        ->set_pid(pid);
    return request;
  }
  static v1::CreateContainerRequest OneContainer(const std::string& sandbox) {
    v1::CreateContainerRequest request;
    request.set_pod_sandbox_id(sandbox);
    request.mutable_config()->mutable_metadata()->set_name("one");
    request.mutable_config()->mutable_image()->set_image("busybox");
    request.mutable_config()
        ->mutable_linux()
        ->mutable_security_context()
        ->mutable_namespace_options()
        ->set_pid(v1::CONTAINER);
    return request;
  }
  Result<std::string> RunPod(v1::NamespaceMode pid = v1::CONTAINER) {
    return TRY(rpc::RunPodSandbox(daemon(), Pod(pid), {})).pod_sandbox_id();
  }
  Result<std::string> Create(const std::string& sandbox) {
    return TRY(rpc::CreateContainer(daemon(), OneContainer(sandbox), {})).container_id();
  }
  Result<std::string> Start(const std::string& id) {
    v1::StartContainerRequest request;
    request.set_container_id(id);
    TRY(rpc::StartContainer(daemon(), request, {}));
    return id;
  }
  void RemovePod(const std::string& id) {
    v1::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    const auto removed = rpc::RemovePodSandbox(daemon(), request, {});
    EXPECT_TRUE(removed.has_value()) << removed.error().message;
  }
  v1::ContainerStatus StatusOf(const std::string& id) {
    v1::ContainerStatusRequest request;
    request.set_container_id(id);
    const auto status = rpc::ContainerStatus(daemon(), request, {});
    return status.has_value() ? status->status() : v1::ContainerStatus();
  }
  // Exits are recorded by other threads.
  v1::ContainerStatus WaitForExit(const std::string& id) {
    const auto container = daemon().containers.Find(id);
    if (container != nullptr) {
      container->WaitUntil(After(std::chrono::seconds(20)), [](const ContainerRecord& record) {
        return record.finished_at_ns != 0;
      });
    }
    return StatusOf(id);
  }

  test::FakeDaemon fake;
  const std::vector<std::string> nothing;
};

TEST_F(Steps, OfRunPodSandboxLeaveNothingWhenTheyFail) {
  for (const auto& step : SandboxSteps()) {
    FailAt(step.name);
    const auto run = RunPod(v1::POD);
    ASSERT_FALSE(run.has_value()) << step.name;
    EXPECT_EQ(run.error().step, step.name);
    EXPECT_EQ(fake.Leftovers(), nothing) << step.name;
  }
  daemon().observer = {};
  const auto run = RunPod(v1::POD);  // the name is free
  ASSERT_TRUE(run.has_value()) << run.error().message;
  RemovePod(*run);
  EXPECT_EQ(fake.Leftovers(), nothing);
}

TEST_F(Steps, OfCreateContainerLeaveNothingWhenTheyFail) {
  const auto pod = RunPod();
  ASSERT_TRUE(pod.has_value()) << pod.error().message;
  const std::vector<std::string> before = fake.Leftovers();
  for (const auto& step : ContainerSteps()) {
    FailAt(step.name);
    const auto created = Create(*pod);
    ASSERT_FALSE(created.has_value()) << step.name;
    EXPECT_EQ(created.error().step, step.name);
    EXPECT_EQ(fake.Leftovers(), before) << step.name;
  }
  daemon().observer = {};
  const auto created = Create(*pod);
  ASSERT_TRUE(created.has_value()) << created.error().message;
  RemovePod(*pod);
  EXPECT_EQ(fake.Leftovers(), nothing);
}

TEST_F(Steps, AreUndoneByRecoveryWhenTheDaemonDiesBetweenThem) {
  for (const auto& step : SandboxSteps()) {
    // Dying at a step: it and all later ones never run, and no undo does either.
    test::FakeDaemon dying;
    SandboxRun run{
        .daemon = *dying.daemon, .record = {}, .paths = dying.daemon->paths.Sandbox("dead")};
    run.record.id = "dead";
    run.record.config = std::make_shared<const v1::PodSandboxConfig>(Pod(v1::POD).config());
    run.record.boot_id = dying.daemon->host.boot_id;
    for (const auto& begun : SandboxSteps()) {
      if (begun.name == step.name) break;
      ASSERT_TRUE(begun.run(run).has_value()) << begun.name;
    }
    run.pause.reset();
    dying.Restart();
    EXPECT_EQ(dying.Leftovers(), nothing) << step.name;
  }
}

TEST_F(Steps, TakenNamesAreToldWithTheirOwner) {
  const auto pod = RunPod();
  ASSERT_TRUE(pod.has_value());
  const auto again = RunPod();
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
  EXPECT_NE(again.error().message.find(*pod), std::string::npos);
  RemovePod(*pod);
}

TEST_F(Steps, ARetryGetsWhatATimedOutCallMade) {
  const Call gone{.cancelled = [] { return true; }};
  const auto first = rpc::RunPodSandbox(daemon(), Pod(), gone);
  ASSERT_TRUE(first.has_value());
  const auto second = RunPod();
  ASSERT_TRUE(second.has_value()) << second.error().message;
  EXPECT_EQ(*second, first->pod_sandbox_id());
  RemovePod(*second);
}

TEST_F(Steps, AFailedStartIsHowTheContainerEnded) {
  const auto pod = RunPod();
  const auto id = Create(pod.value_or(""));
  ASSERT_TRUE(id.has_value()) << id.error().message;
  fake.shims.start_error = "executable file not found in $PATH";
  EXPECT_FALSE(Start(*id).has_value());
  const v1::ContainerStatus status = StatusOf(*id);
  EXPECT_EQ(status.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 128);
  EXPECT_EQ(status.reason(), "StartError");
  RemovePod(*pod);
  EXPECT_EQ(fake.Leftovers(), nothing);
}

TEST_F(Steps, ExitsAreRecordedWithTheirReason) {
  const auto pod = RunPod();
  const auto id = Create(pod.value_or(""));
  ASSERT_TRUE(id.has_value() && Start(*id).has_value());
  EXPECT_EQ(StatusOf(*id).state(), v1::CONTAINER_RUNNING);
  fake.shims.End(daemon().paths.Container(*id).Bundle(),
                 {.code = 137, .exited_at_unix_ns = 42, .oom_killed = true});
  const v1::ContainerStatus status = WaitForExit(*id);
  EXPECT_EQ(status.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.reason(), "OOMKilled");
  EXPECT_EQ(status.finished_at(), 42);
  RemovePod(*pod);
}

TEST_F(Steps, TheEndIsToldAfterTheStart) {
  const auto events = daemon().events.Subscribe();
  const auto pod = RunPod();
  const auto id = Create(pod.value_or(""));
  ASSERT_TRUE(id.has_value()) << id.error().message;
  fake.shims.before_start_answers = [&](const std::string& bundle) {
    fake.shims.End(bundle, {.code = 0, .exited_at_unix_ns = 1});
    // Another thread hears of it, and would have the time to tell.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  };
  EXPECT_TRUE(Start(*id).has_value());
  WaitForExit(*id);
  RemovePod(*pod);
  std::vector<v1::ContainerEventType> told;
  while (const auto event = events->Next(std::chrono::seconds(1))) {
    if (event->container_id() == *id) told.push_back(event->container_event_type());
    if (event->container_event_type() == v1::CONTAINER_DELETED_EVENT) break;
  }
  const std::vector expected{v1::CONTAINER_CREATED_EVENT, v1::CONTAINER_STARTED_EVENT,
                             v1::CONTAINER_STOPPED_EVENT, v1::CONTAINER_DELETED_EVENT};
  EXPECT_EQ(told, expected);
}

TEST_F(Steps, ARestartFindsWhatRunsAndWhatEndedMeanwhile) {
  const auto pod = RunPod();
  const auto running = Create(pod.value_or(""));
  ASSERT_TRUE(running.has_value() && Start(*running).has_value());
  fake.Restart();
  EXPECT_EQ(StatusOf(*running).state(), v1::CONTAINER_RUNNING);
  // While the daemon is away.
  const std::string bundle = daemon().paths.Container(*running).Bundle();
  {
    const std::lock_guard lock(fake.shims.mutex);
    fake.shims.tasks.at(bundle).waiting.clear();
  }
  fake.shims.End(bundle, {.code = 3, .exited_at_unix_ns = 99});
  fake.Restart();
  const v1::ContainerStatus status = StatusOf(*running);
  EXPECT_EQ(status.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status.exit_code(), 3);
  EXPECT_EQ(status.finished_at(), 99);
  EXPECT_FALSE(RunPod().has_value());  // names are known again
  RemovePod(*pod);
  EXPECT_EQ(fake.Leftovers(), nothing);
}

TEST_F(Steps, ANewBootEndsEverything) {
  const auto pod = RunPod();
  const auto id = Create(pod.value_or(""));
  ASSERT_TRUE(id.has_value() && Start(*id).has_value());
  for (const auto& object : {daemon().containers.Find(*id)}) {
    ASSERT_TRUE(object
                    ->Change(*daemon().database,
                             [](ContainerRecord& record) { record.boot_id = "another"; })
                    .has_value());
  }
  ASSERT_TRUE(
      daemon()
          .sandboxes.Find(*pod)
          ->Change(*daemon().database, [](SandboxRecord& record) { record.boot_id = "another"; })
          .has_value());
  fake.Restart();
  EXPECT_EQ(StatusOf(*id).state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(StatusOf(*id).exit_code(), 255);
  EXPECT_FALSE(daemon().sandboxes.Find(*pod)->Read().Ready());
  EXPECT_FALSE(Create(*pod).has_value());
  fake.shims.tasks.clear();  // no process outlives a boot
  RemovePod(*pod);
  EXPECT_EQ(fake.Leftovers(), nothing);
}

TEST_F(Steps, StrayDirectoriesAreGarbage) {
  ASSERT_TRUE(MakeDirectories(daemon().paths.Sandbox("stray").Namespaces()).has_value());
  ASSERT_TRUE(MakeDirectories(daemon().paths.Container("stray").Bundle()).has_value());
  fake.images->snapshots = {"cri-stray", "somebody-elses"};
  fake.cni->attached = {"stray"};
  fake.Restart();
  EXPECT_EQ(fake.Leftovers(), std::vector<std::string>{"snapshot somebody-elses"});
}

}  // namespace
}  // namespace coracle::cri
