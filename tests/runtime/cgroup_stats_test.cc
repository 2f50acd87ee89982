#include "coracle/runtime/cgroup.h"
#include "runtime/cgroup_fixture.h"
#include "support/temp_dir.h"

namespace coracle::runtime {
namespace {

class StatsFiles : public testing::Test {
 protected:
  void Write(const char* file, const char* text) {
    ASSERT_TRUE(WriteFileAtomically(dir_.path() + "/" + file, text).has_value());
  }
  test::TempDir dir_;
};

TEST_F(StatsFiles, ReadsWhatTheKernelWrites) {
  Write("cgroup.events", "populated 1\nfrozen 0\n");
  Write("cpu.stat",
        "usage_usec 300\nuser_usec 200\nsystem_usec 100\nnice_usec 0\nnr_periods 4\n"
        "nr_throttled 3\nthrottled_usec 2\n");
  Write("memory.current", "4096\n");
  Write("memory.max", "max\n");
  Write("memory.peak", "8192\n");
  Write("memory.stat",
        "anon 1\nfile 2\nkernel_stack 3\nfile_mapped 4\ninactive_file 5\n"
        "active_file 6\npgfault 7\npgmajfault 8\nanon_thp 99\n");
  Write("memory.events", "low 0\nhigh 0\nmax 9\noom 10\noom_kill 11\noom_group_kill 0\n");
  Write("pids.current", "2\n");
  Write("pids.max", "10\n");
  Write("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n254:1 \n");
  Write("memory.pressure",
        "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\n"
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
  const Result<CgroupStats> stats = ReadCgroupStats(dir_.path());
  ASSERT_TRUE(stats.has_value());
  EXPECT_EQ(stats->cpu_usage_us, 300U);
  EXPECT_EQ(stats->cpu_throttled_us, 2U);
  EXPECT_EQ(stats->memory_usage, 4096U);
  EXPECT_EQ(stats->memory_limit, UINT64_MAX);
  EXPECT_EQ(stats->memory_max_usage, 8192U);
  EXPECT_EQ(stats->anon, 1U);
  EXPECT_EQ(stats->inactive_file, 5U);
  EXPECT_EQ(stats->pgmajfault, 8U);
  EXPECT_EQ(stats->oom_kill, 11U);
  EXPECT_EQ(stats->pids_limit, 10U);
  ASSERT_EQ(stats->io.size(), 2U);
  EXPECT_EQ(stats->io[0].major, 8U);
  EXPECT_EQ(stats->io[0].wios, 4U);
  EXPECT_EQ(stats->io[1].rbytes, 0U);
  EXPECT_DOUBLE_EQ(stats->memory_some->avg10, 1.5);
  EXPECT_EQ(stats->memory_full->total_us, 5U);
  EXPECT_FALSE(stats->swap_usage.has_value());
  EXPECT_FALSE(stats->cpu_some.has_value());
}

TEST_F(StatsFiles, GarbageIsNoValue) {
  Write("cgroup.events", "");
  Write("memory.current", "banana\n");
  Write("pids.current", "18446744073709551616\n");
  Write("io.stat", "\n\n=\n");
  const Result<CgroupStats> stats = ReadCgroupStats(dir_.path());
  ASSERT_TRUE(stats.has_value());
  EXPECT_FALSE(stats->memory_usage.has_value());
  EXPECT_FALSE(stats->pids_current.has_value());
}

TEST_F(CgroupTest, StatsOfARealCgroup) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  Wait(Spawn(*cgroup, [] {
    for (int i = 0; i < 100000; ++i) (void)::getppid();
    return 0;
  }));
  const Result<CgroupStats> stats = ReadCgroupStats(cgroup->path);
  ASSERT_TRUE(stats.has_value());
  EXPECT_GT(stats->cpu_usage_us.value_or(0), 0U);
  EXPECT_EQ(stats->memory_usage.has_value(), Has("memory"));
  EXPECT_EQ(stats->pids_current.has_value(), Has("pids"));
  EXPECT_EQ(ReadCgroupStats(top_ + "/none").error().code, Code::kNotFound);
}

}  // namespace
}  // namespace coracle::runtime
