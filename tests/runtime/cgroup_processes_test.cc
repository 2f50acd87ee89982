#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>

#include "coracle/runtime/cgroup.h"
#include "coracle/sys/process.h"
#include "runtime/cgroup_fixture.h"

namespace coracle::runtime {
namespace {

TEST_F(CgroupTest, FreezesAndThaws) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  SpawnSleeper(*cgroup);
  EXPECT_FALSE(IsFrozen(cgroup->path).value());
  ASSERT_TRUE(FreezeCgroup(cgroup->path).has_value());
  EXPECT_TRUE(IsFrozen(cgroup->path).value());
  ASSERT_TRUE(ThawCgroup(cgroup->path).has_value());
  EXPECT_FALSE(IsFrozen(cgroup->path).value());
  EXPECT_EQ(FreezeCgroup(top_ + "/none").error().code, Code::kNotFound);
  EXPECT_EQ(IsFrozen(top_ + "/none").error().code, Code::kNotFound);
}

TEST_F(CgroupTest, KillsFrozenProcessesOfTheWholeTree) {
  Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  const pid_t above = SpawnSleeper(*cgroup);
  Cgroup below{.directory = OpenCgroup(cgroup->path, "below").value()};
  const pid_t deep = SpawnSleeper(below);
  ASSERT_TRUE(FreezeCgroup(cgroup->path).has_value());
  ASSERT_TRUE(SignalCgroup(cgroup->path, SIGKILL).has_value());
  EXPECT_EQ(WTERMSIG(Wait(above)), SIGKILL);
  EXPECT_EQ(WTERMSIG(Wait(deep)), SIGKILL);
}

TEST_F(CgroupTest, SignalsEachProcess) {
  Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  const pid_t one = SpawnSleeper(*cgroup);
  const pid_t two = SpawnSleeper(*cgroup);
  ASSERT_TRUE(SignalCgroup(cgroup->path, SIGTERM).has_value());
  EXPECT_EQ(WTERMSIG(Wait(one)), SIGTERM);
  EXPECT_EQ(WTERMSIG(Wait(two)), SIGTERM);
  EXPECT_TRUE(SignalCgroup(top_ + "/none", SIGTERM).has_value());
  EXPECT_TRUE(SignalCgroup(top_ + "/none", SIGKILL).has_value());
}

TEST_F(CgroupTest, RemovesChildrenToo) {
  Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  ASSERT_TRUE(OpenCgroup(cgroup->path, "a/b/c").has_value());
  ASSERT_TRUE(RemoveCgroup(cgroup->path).has_value());
  EXPECT_FALSE(std::filesystem::exists(cgroup->path));
  EXPECT_TRUE(RemoveCgroup(cgroup->path).has_value()) << "a missing one is success";
}

// Deeper than PATH_MAX: what a container that owns its cgroup can do in a loop.
TEST_F(CgroupTest, RemovesATreeDeeperThanAnyPath) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  const std::string name(200, 'x');
  UniqueFd at(::openat(cgroup->directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int depth = 0; depth < 40; ++depth) {
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0);
    at = UniqueFd(::openat(at.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  const pid_t deep = Spawn({.directory = std::move(at)}, [] { return ::pause(); });
  EXPECT_EQ(CgroupPids(cgroup->path).value(), std::vector<int>{deep});
  ASSERT_TRUE(SignalCgroup(cgroup->path, SIGTERM).has_value());
  Wait(deep);
  const Status status = RemoveCgroup(cgroup->path);
  EXPECT_TRUE(status.has_value()) << status.error().message;
  EXPECT_FALSE(std::filesystem::exists(cgroup->path));
}

TEST_F(CgroupTest, RemoveWaitsForTheDying) {
  Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  for (int i = 0; i < 20; ++i) SpawnSleeper(*cgroup);
  ASSERT_TRUE(SignalCgroup(cgroup->path, SIGKILL).has_value());
  const Status status = RemoveCgroup(cgroup->path);
  EXPECT_TRUE(status.has_value()) << status.error().message;
}

TEST_F(CgroupTest, RemoveSaysThatTheCgroupIsInUse) {
  Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  SpawnSleeper(*cgroup);
  const Status status = RemoveCgroup(cgroup->path);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().errnum, EBUSY);
}

}  // namespace
}  // namespace coracle::runtime
