// Fails each step on the way to a running container in turn: the error names it, nothing is left.
#include "create.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "container_fixture.h"

namespace coracle::runtime {
namespace {

std::vector<std::string> CreationSteps() {
  std::vector<std::string> names;
  test::AppendNames(CreateSteps(), names);
  test::AppendNames(ContainerSteps(), names);
  return names;
}
std::vector<std::string> StartingSteps() {
  std::vector<std::string> names;
  test::AppendNames(ProgramSteps(), names);
  return names;
}

class FailedCreation : public test::ContainerTest,
                       public ::testing::WithParamInterface<std::string> {};

TEST_P(FailedCreation, IsNamedAndLeavesNothing) {
  runtime_.observer.fault = [](std::string_view step) { return step == GetParam(); };
  const auto state = Create();
  ASSERT_FALSE(state.has_value());
  EXPECT_EQ(state.error().step, GetParam()) << state.error().message;
  EXPECT_EQ(state.error().errnum, EIO);
  EXPECT_TRUE(state.error().message.starts_with("create container " + id_ + ": " + GetParam()))
      << state.error().message;
  ExpectNothingLeft();
  EXPECT_FALSE(std::filesystem::exists(temp_.path() + "/pid"));
}

INSTANTIATE_TEST_SUITE_P(At, FailedCreation, ::testing::ValuesIn(CreationSteps()), test::TestName);

class KilledCreation : public test::ContainerTest,
                       public ::testing::WithParamInterface<std::string> {};

// SIGKILL leaves no time for any undo: what `delete` finds on disk must be enough.
TEST_P(KilledCreation, IsDeletedWhole) {
  spec_.linux_.cgroups_path = "/" + id_ + "/nested/deeper";
  const pid_t creator = ::fork();
  if (creator == 0) {
    runtime_.observer.fault = [self = ::getpid()](std::string_view step) {
      if (step == GetParam() && ::getpid() == self) ::raise(SIGKILL);
      return false;
    };
    (void)Create();
    ::_exit(0);
  }
  EXPECT_EQ(sys::WaitExit(creator).value(), 128 + SIGKILL);
  const Status deleted = Delete({.root = runtime_.root}, id_, true);
  EXPECT_TRUE(deleted.has_value()) << deleted.error().message;
  ExpectNothingLeft();
}

std::vector<std::string> RuntimesSteps() {
  std::vector<std::string> names;
  test::AppendNames(CreateSteps(), names);
  return names;
}
INSTANTIATE_TEST_SUITE_P(At, KilledCreation, ::testing::ValuesIn(RuntimesSteps()), test::TestName);

class FailedStart : public test::ContainerTest,
                    public ::testing::WithParamInterface<std::string> {};

TEST_P(FailedStart, IsNamedAndEndsTheContainer) {
  runtime_.observer.fault = [](std::string_view step) { return step == GetParam(); };
  const auto state = Create();
  ASSERT_TRUE(state.has_value()) << state.error().message;
  const auto started = Start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().step, GetParam()) << started.error().message;
  EXPECT_EQ(started.error().errnum, EIO);
  EXPECT_EQ(sys::WaitExit(state->pid).value(), 1);
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kStopped);
}

INSTANTIATE_TEST_SUITE_P(At, FailedStart, ::testing::ValuesIn(StartingSteps()), test::TestName);

class Container : public test::ContainerTest {};

TEST_F(Container, GoesThroughItsLife) {
  const auto state = Create();
  ASSERT_TRUE(state.has_value()) << state.error().message;
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kCreated);
  EXPECT_EQ(ReadFile(temp_.path() + "/pid").value(), std::to_string(state->pid));
  ASSERT_TRUE(Start().has_value());
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kRunning);
  EXPECT_EQ(Start().error().code, Code::kWrongState);
  ASSERT_TRUE(Pause(runtime_, id_).has_value());
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kPaused);
  EXPECT_EQ(Exec({"/bin/true"}).error().code, Code::kWrongState);
  ASSERT_TRUE(Resume(runtime_, id_).has_value());
  EXPECT_EQ(Delete(runtime_, id_).error().code, Code::kWrongState);
  ASSERT_TRUE(Kill(runtime_, id_, SIGKILL).has_value());
  EXPECT_EQ(sys::WaitExit(state->pid).value(), 128 + SIGKILL);
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kStopped);
  EXPECT_NE(Kill(runtime_, id_, SIGKILL).error().message.find("container not running"),
            std::string::npos);
  ASSERT_TRUE(Delete(runtime_, id_).has_value());
  EXPECT_NE(State(runtime_, id_).error().message.find("container does not exist"),
            std::string::npos);
  EXPECT_TRUE(Delete(runtime_, id_, true).has_value()) << "--force of an unknown one is success";
}

TEST_F(Container, LeavesAnotherOfTheSameIdAlone) {
  const auto state = Create();
  ASSERT_TRUE(state.has_value()) << state.error().message;
  const auto second = Create();
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Code::kAlreadyExists);
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kCreated);
}

TEST_F(Container, TellsAtCreateThatTheProgramIsMissing) {
  spec_.process->args = {"no-such-program"};
  const auto state = Create();
  ASSERT_FALSE(state.has_value());
  EXPECT_NE(
      state.error().message.find("exec: \"no-such-program\": executable file not found in $PATH"),
      std::string::npos)
      << state.error().message;
}

TEST_F(Container, TellsAtStartThatTheProgramCannotRun) {
  std::ofstream(temp_.path() + "/rootfs/tmp/text") << "not a program";
  std::filesystem::permissions(temp_.path() + "/rootfs/tmp/text", std::filesystem::perms(0755));
  spec_.process->args = {"/tmp/text"};
  ASSERT_TRUE(Create().has_value());
  const auto started = Start();
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().errnum, ENOEXEC) << started.error().message;
  EXPECT_EQ(started.error().step, "execute");
}

TEST_F(Container, IsDeletedAfterItsCreatorDiedAnywhere) {
  // As if killed right after the intent was recorded: a state, perhaps a cgroup, no process.
  ASSERT_TRUE(MakeDirectories(runtime_.root + "/" + id_).has_value());
  ASSERT_TRUE(MakeDirectories(cgroup_).has_value());
  StateFile file;
  file.id = id_;
  file.oci_version = "1.3.0";
  file.cgroup = cgroup_;
  ASSERT_TRUE(WriteStateFile(PathsOf(runtime_.root, id_), file).has_value());
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kCreating);
  EXPECT_TRUE(Delete(runtime_, id_).has_value());
  ExpectNothingLeft();
  // Or even before that.
  ASSERT_TRUE(MakeDirectories(runtime_.root + "/" + id_).has_value());
  EXPECT_TRUE(Delete(runtime_, id_).has_value());
  ExpectNothingLeft();
}

TEST_F(Container, DiesWithItsCreator) {
  // The creator is killed while its container process waits for it in a hook.
  oci::Hook hook;
  hook.path = "/bin/sh";
  const std::string file = temp_.path() + "/in-hook";
  hook.args = {"sh", "-c",
               "echo $$ > " + file + "~; mv " + file + "~ " + file + "; exec sleep 1000"};
  spec_.hooks.create_runtime = {hook};
  const pid_t creator = ::fork();
  if (creator == 0) {
    (void)Create();
    ::_exit(0);
  }
  while (!std::filesystem::exists(file)) ::usleep(1000);
  ASSERT_EQ(::kill(creator, SIGKILL), 0);
  ::waitpid(creator, nullptr, 0);
  EXPECT_TRUE(Delete(runtime_, id_).has_value());
  EXPECT_EQ(::kill(std::stoi(ReadFile(file).value()), SIGKILL), 0) << "the hook is the host's";
}

TEST_F(Container, RunsWithoutASecondOfOurDescriptors) {
  const int stray = ::dup(0);  // without FD_CLOEXEC, as a careless caller leaves it
  EXPECT_EQ(StartAndWait({"/bin/sh", "-c",
                          "test \"$(echo /proc/self/fd/*)\" = "
                          "'/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 "
                          "/proc/self/fd/3'"}),
            0);
  ::close(stray);
}

TEST_F(Container, NeedsAProcessOnlyToStart) {
  spec_.process.reset();
  ASSERT_TRUE(Create().has_value());
  const auto started = Start();
  ASSERT_FALSE(started.has_value());
  EXPECT_NE(started.error().message.find("/process"), std::string::npos);
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kCreated);
}

}  // namespace
}  // namespace coracle::runtime
