#include "state_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "coracle/base/file.h"
#include "coracle/sys/process.h"
#include "support/temp_dir.h"

namespace coracle::runtime {
namespace {

class StateFileTest : public ::testing::Test {
 protected:
  StateFileTest() { EXPECT_TRUE(MakeDirectories(paths_.directory).has_value()); }
  const test::TempDir dir_;
  const StatePaths paths_ = PathsOf(dir_.path(), "one");
};

TEST_F(StateFileTest, ReadsBackWhatWasWritten) {
  StateFile file;
  file.oci_version = "1.3.0";
  file.id = "one";
  file.bundle = "/bundle";
  file.annotations = {{"a", "b"}};
  file.pid = 42;
  file.start_ticks = 1ULL << 40U;
  file.created_unix_ns = 1'700'000'000'123'456'789;
  file.cgroup = "/sys/fs/cgroup/one";
  file.cgroup_created = {"/sys/fs/cgroup/one"};
  file.own_pid_namespace = file.has_process = file.has_poststop = true;
  ASSERT_TRUE(WriteStateFile(paths_, file).has_value());
  const auto read = ReadStateFile(paths_);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->id, file.id);
  EXPECT_EQ(read->annotations, file.annotations);
  EXPECT_EQ(read->pid, file.pid);
  EXPECT_EQ(read->start_ticks, file.start_ticks);
  EXPECT_EQ(read->created_unix_ns, file.created_unix_ns);
  EXPECT_EQ(read->cgroup_created, file.cgroup_created);
  EXPECT_TRUE(read->own_pid_namespace && read->has_process && read->has_poststop);
  EXPECT_FALSE(read->has_poststart);
}

TEST_F(StateFileTest, SaysWhatIsMissingOrBroken) {
  EXPECT_EQ(ReadStateFile(paths_).error().message, "container does not exist");
  ASSERT_TRUE(WriteFileAtomically(paths_.state, "{").has_value());
  EXPECT_EQ(ReadStateFile(paths_).error().code, Code::kInvalidConfig);
}

TEST_F(StateFileTest, TakesAReusedPidForStopped) {
  StateFile file;
  file.pid = ::getpid();
  file.start_ticks = sys::ReadProcessStat(::getpid()).value().start_ticks;
  EXPECT_TRUE(IsAlive(file));
  ++file.start_ticks;
  EXPECT_FALSE(IsAlive(file));
  EXPECT_EQ(DeriveStatus(paths_, file), oci::ContainerStatus::kStopped);
  EXPECT_EQ(ToOciState(file, oci::ContainerStatus::kStopped).pid, 0);
}

TEST_F(StateFileTest, TakesAZombieForStopped) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
  StateFile file;
  file.pid = pid;
  file.start_ticks = sys::ReadProcessStat(pid).value().start_ticks;
  EXPECT_FALSE(IsAlive(file));
  ::waitpid(pid, nullptr, 0);
}

TEST_F(StateFileTest, HasOneLock) {
  const auto lock = LockState(paths_);
  ASSERT_TRUE(lock.has_value()) << lock.error().message;
  EXPECT_EQ(LockState(PathsOf(dir_.path(), "other")).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace coracle::runtime
