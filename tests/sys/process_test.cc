#include "coracle/sys/process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace coracle::sys {
namespace {

TEST(SignalNumber, TakesNamesAndNumbers) {
  EXPECT_EQ(SignalNumber("TERM").value(), SIGTERM);
  EXPECT_EQ(SignalNumber("SIGTERM").value(), SIGTERM);
  EXPECT_EQ(SignalNumber("sigkill").value(), SIGKILL);
  EXPECT_EQ(SignalNumber("15").value(), 15);
  EXPECT_EQ(SignalNumber("RTMIN+3").value(), SIGRTMIN + 3);
  EXPECT_EQ(SignalNumber("SIGRTMAX-1").value(), SIGRTMAX - 1);
  EXPECT_EQ(SignalNumber("CLD").value(), SIGCHLD);
}

TEST(SignalNumber, RefusesWhatIsNone) {
  for (const char* name : {"", "NONE", "65", "-1", "15 ", "RTMIN+99", "RTMIN-1", "SIG"}) {
    const auto number = SignalNumber(name);
    ASSERT_FALSE(number.has_value()) << name;
    EXPECT_EQ(number.error().code, Code::kInvalidConfig);
  }
}

TEST(ReadProcessStat, SeesAProcessWithAnOddName) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_NAME, "a) R (b");
    ::raise(SIGSTOP);
    ::_exit(3);
  }
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WSTOPPED), 0);
  const auto stat = ReadProcessStat(pid);
  ASSERT_TRUE(stat.has_value()) << stat.error().message;
  EXPECT_EQ(stat->state, 'T');
  EXPECT_EQ(stat->parent, ::getpid());
  EXPECT_GT(stat->start_ticks, 0U);
  const UniqueFd pidfd = pidfd_open(pid).value();
  EXPECT_TRUE(pidfd_send_signal(pidfd.get(), SIGKILL).has_value());
  EXPECT_EQ(WaitExit(pid).value(), 128 + SIGKILL);
  EXPECT_EQ(ReadProcessStat(pid).error().code, Code::kNotFound);
  EXPECT_EQ(pidfd_send_signal(pidfd.get(), SIGKILL).error().code, Code::kNotFound);
}

TEST(ResetSignals, UndoesIgnoredAndBlocked) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGTERM, SIG_IGN);
    sigset_t set;
    sigfillset(&set);
    ::sigprocmask(SIG_SETMASK, &set, nullptr);
    ResetSignals();
    ::raise(SIGTERM);
    ::_exit(0);
  }
  EXPECT_EQ(WaitExit(pid).value(), 128 + SIGTERM);
}

}  // namespace
}  // namespace coracle::sys
