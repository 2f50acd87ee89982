#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "coracle/sys/process.h"

namespace coracle::sys {
namespace {

Command Shell(const std::string& script) {
  return {.path = "/bin/sh", .args = {"sh", "-c", script}, .env = {"WORD=seen"}};
}

TEST(RunCommand, GivesInputAndTakesBothOutputs) {
  Command command = Shell("cat; echo $WORD >&2; exit 3");
  command.input = "from stdin";
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "from stdin");
  EXPECT_EQ(result->error_output, "seen\n");
  EXPECT_FALSE(result->timed_out);
}

TEST(RunCommand, ReportsAProgramThatIsNotThere) {
  const auto result = RunCommand({.path = "/nonexistent/program", .args = {"x"}});
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::kNotFound);
  EXPECT_NE(result.error().message.find("/nonexistent/program"), std::string::npos);
}

TEST(RunCommand, KillsTheWholeGroupAfterTheTimeout) {
  Command command = Shell("sleep 1000 & echo $!; wait");
  command.timeout = std::chrono::milliseconds(100);
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_TRUE(result->timed_out);
  EXPECT_EQ(result->exit_code, 128 + SIGKILL);
  // The orphan is gone, or a zombie as soon as the signal reached it.
  const auto orphan = static_cast<pid_t>(std::stol(result->output));
  bool gone = false;
  for (int i = 0; i < 1000 && !gone; ++i) {
    const auto stat = ReadProcessStat(orphan);
    gone = !stat.has_value() || stat->state == 'Z';
    if (!gone) ::usleep(10000);
  }
  EXPECT_TRUE(gone);
}

TEST(RunCommand, DoesNotWaitForADaemonThatHoldsThePipes) {
  Command command = Shell("sleep 1000 & echo $!");
  command.timeout = std::chrono::seconds(60);
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_FALSE(result->timed_out);
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_EQ(::kill(static_cast<pid_t>(std::stol(result->output)), SIGKILL), 0);
}

TEST(RunCommand, KeepsAtMostTheLimit) {
  Command command = Shell("head -c 300000 /dev/zero; echo done >&2");
  command.output_limit_bytes = 1000;
  const auto result = RunCommand(command);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->output.size(), 1000U);
  EXPECT_EQ(result->error_output, "done\n");
}

TEST(RunCommand, StartsWithDefaultSignalsAndNoStrayDescriptors) {
  ::signal(SIGPIPE, SIG_IGN);
  const int stray = ::dup(0);
  // A shell cannot trap what it was started with as ignored.
  const auto result =
      RunCommand(Shell("trap 'echo trapped' PIPE; kill -PIPE $$; ls /proc/self/fd"));
  ::close(stray);
  ::signal(SIGPIPE, SIG_DFL);
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_EQ(result->output, "trapped\n0\n1\n2\n3\n");
}

}  // namespace
}  // namespace coracle::sys
