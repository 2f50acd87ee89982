// Fails each step of exec in turn; and what an exec process is.
#include "exec.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "container_fixture.h"

namespace coracle::runtime {
namespace {

std::vector<std::string> AllExecSteps() {
  std::vector<std::string> names;
  test::AppendNames(ExecSteps(), names);
  test::AppendNames(EnterSteps(), names);
  test::AppendNames(ProgramSteps(), names);
  return names;
}

class ExecTest : public test::ContainerTest {
 protected:
  void SetUp() override {
    ContainerTest::SetUp();
    if (IsSkipped()) return;
    const auto state = Create();
    ASSERT_TRUE(state.has_value()) << state.error().message;
    ASSERT_TRUE(Start().has_value());
    fds_running_ = OpenFds();
  }
  // 0 when the shell in the container says that it is true.
  int Check(const std::string& script) {
    const auto pid = Exec({"/bin/sh", "-c", script});
    EXPECT_TRUE(pid.has_value()) << pid.error().message;
    return pid.has_value() ? sys::WaitExit(*pid).value_or(-1) : -1;
  }
  std::ptrdiff_t fds_running_ = 0;
};

class FailedExec : public ExecTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(FailedExec, IsNamedAndLeavesTheContainerAlone) {
  runtime_.observer.fault = [](std::string_view step) { return step == GetParam(); };
  const auto pid = Exec({"/bin/true"});
  ASSERT_FALSE(pid.has_value());
  EXPECT_EQ(pid.error().step, GetParam()) << pid.error().message;
  EXPECT_EQ(pid.error().errnum, EIO);
  EXPECT_EQ(OpenFds(), fds_running_);
  EXPECT_EQ(Pids(runtime_, id_).value().size(), 1U) << "the process is left";
  EXPECT_EQ(StatusNow(), oci::ContainerStatus::kRunning);
}

INSTANTIATE_TEST_SUITE_P(At, FailedExec, ::testing::ValuesIn(AllExecSteps()), test::TestName);

TEST_F(ExecTest, JoinsNamespacesAndCgroup) {
  EXPECT_EQ(Check("test $$ != 1 && for n in pid net ipc uts mnt; do "
                  "test \"$(readlink /proc/1/ns/$n)\" = \"$(readlink /proc/self/ns/$n)\" || exit 1;"
                  " done"),
            0);
  EXPECT_EQ(Check("test \"$(tail -1 /proc/1/cgroup)\" = \"$(tail -1 /proc/self/cgroup)\""), 0);
}

TEST_F(ExecTest, ReturnsTheProgramsExit) {
  EXPECT_EQ(Check("exit 42"), 42);
  EXPECT_EQ(Check("kill -TERM $$"), 128 + SIGTERM);
}

TEST_F(ExecTest, SaysWhatIsWrongInTheWordsOfRunc) {
  EXPECT_NE(
      Exec({"nope"}).error().message.find("exec: \"nope\": executable file not found in $PATH"),
      std::string::npos);
  EXPECT_NE(Exec({"/etc"}).error().message.find("is a directory"), std::string::npos);
  ASSERT_TRUE(Kill(runtime_, id_, SIGKILL).has_value());
  while (StatusNow() != oci::ContainerStatus::kStopped) ::usleep(1000);
  EXPECT_NE(Exec({"/bin/true"}).error().message.find("container not running"), std::string::npos);
}

}  // namespace
}  // namespace coracle::runtime
