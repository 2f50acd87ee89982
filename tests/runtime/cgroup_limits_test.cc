#include "cgroup_limits.h"

#include <gtest/gtest.h>

namespace coracle::runtime {
namespace {

std::vector<std::string> Texts(const std::vector<CgroupWrite>& writes) {
  std::vector<std::string> texts;
  for (const CgroupWrite& write : writes) texts.push_back(write.file + "=" + write.text);
  return texts;
}

using Strings = std::vector<std::string>;

TEST(CpuWeight, AgreesWithSharesAtTheLeastDefaultAndMost) {
  EXPECT_EQ(CpuWeight(0), 1U);
  EXPECT_EQ(CpuWeight(2), 1U);
  EXPECT_EQ(CpuWeight(1024), 100U);
  EXPECT_EQ(CpuWeight(262144), 10000U);
  EXPECT_EQ(CpuWeight(1'000'000), 10000U);
  EXPECT_EQ(CpuWeight(512), 59U);
  EXPECT_EQ(CpuWeight(2048), 174U);
}

TEST(PlanLimits, MemoryIsLastAndSwapIsWithoutMemory) {
  oci::Resources resources;
  resources.memory = oci::MemoryLimits{};
  resources.memory->limit = 100;
  resources.memory->swap = 150;
  resources.memory->reservation = 50;
  resources.pids_limit = 0;
  const LimitWrites writes = PlanLimits(resources, "/linux/resources");
  EXPECT_EQ(writes.problems, Strings{});
  EXPECT_EQ(Texts(writes.limits), (Strings{"memory.low=50", "memory.swap.max=50"}));
  EXPECT_EQ(Texts(writes.last_limits), (Strings{"pids.max=0", "memory.max=100"}));
  EXPECT_EQ(writes.last_limits[1].pointer, "/linux/resources/memory/limit");
}

TEST(PlanLimits, UnlimitedIsMax) {
  oci::Resources resources;
  resources.memory = oci::MemoryLimits{};
  resources.memory->limit = -1;
  resources.pids_limit = -1;
  resources.cpu = oci::CpuLimits{};
  resources.cpu->quota_us = -1;
  const LimitWrites writes = PlanLimits(resources, "");
  EXPECT_EQ(Texts(writes.limits), (Strings{"cpu.max=max", "memory.swap.max=max"}));
  EXPECT_EQ(Texts(writes.last_limits), (Strings{"pids.max=max", "memory.max=max"}));
}

TEST(PlanLimits, RefusesSwapThatDoesNotFitTheMemoryLimit) {
  oci::Resources resources;
  resources.memory = oci::MemoryLimits{};
  resources.memory->swap = 150;
  EXPECT_EQ(PlanLimits(resources, "").problems,
            Strings{"/memory/swap: unable to set swap limit without memory limit"});
  resources.memory->limit = 200;
  EXPECT_EQ(PlanLimits(resources, "").problems,
            Strings{"/memory/swap: got 150; memory+swap limit should be >= memory limit 200"});
  resources.memory->swap = 200;
  EXPECT_EQ(Texts(PlanLimits(resources, "").limits), Strings{"memory.swap.max=0"});
}

TEST(PlanLimits, RefusesWhatOnlyCgroupV1Has) {
  oci::Resources resources;
  resources.memory = oci::MemoryLimits{};
  resources.memory->swappiness = 60;
  resources.memory->disable_oom_killer = true;
  resources.memory->kernel = 1;  // deprecated for all: to be ignored
  resources.cpu = oci::CpuLimits{};
  resources.cpu->realtime_runtime_us = 1;
  resources.cpu->realtime_period_us = 1;
  resources.block_io = oci::BlockIoLimits{};
  resources.block_io->leaf_weight = 10;
  resources.network = oci::NetworkLimits{.class_id = 1, .priorities = {{"eth0", 1}}};
  const LimitWrites writes = PlanLimits(resources, "/linux/resources");
  EXPECT_EQ(Texts(writes.limits), Strings{});
  Strings places;
  for (const std::string& problem : writes.problems)
    places.push_back(problem.substr(0, problem.find(':')));
  EXPECT_EQ(places,
            (Strings{"/linux/resources/cpu/realtimeRuntime", "/linux/resources/cpu/realtimePeriod",
                     "/linux/resources/blockIO/leafWeight", "/linux/resources/network/classID",
                     "/linux/resources/network/priorities", "/linux/resources/memory/swappiness",
                     "/linux/resources/memory/disableOOMKiller"}));
}

TEST(PlanLimits, BurstGoesBeforeAndAfterTheQuota) {
  oci::Resources resources;
  resources.cpu = oci::CpuLimits{};
  resources.cpu->quota_us = 50000;
  resources.cpu->period_us = 100000;
  resources.cpu->burst_us = 10000;
  const LimitWrites writes = PlanLimits(resources, "");
  EXPECT_EQ(Texts(writes.limits),
            (Strings{"cpu.max.burst=10000", "cpu.max=50000 100000", "cpu.max.burst=10000"}));
  EXPECT_EQ(writes.limits[0].tolerated_errno, EINVAL);
  EXPECT_EQ(writes.limits[2].tolerated_errno, 0);
}

TEST(PlanLimits, IdleIsLeftBeforeTheWeightAndEnteredAfterIt) {
  oci::Resources resources;
  resources.cpu = oci::CpuLimits{};
  resources.cpu->shares = 1024;
  resources.cpu->idle = 1;
  EXPECT_EQ(Texts(PlanLimits(resources, "").limits), (Strings{"cpu.weight=100", "cpu.idle=1"}));
  resources.cpu->idle = 0;
  EXPECT_EQ(Texts(PlanLimits(resources, "").limits), (Strings{"cpu.idle=0", "cpu.weight=100"}));
  resources.cpu->idle = 2;
  EXPECT_EQ(PlanLimits(resources, "").problems.size(), 1U);
}

TEST(PlanLimits, BlockIo) {
  oci::Resources resources;
  resources.block_io = oci::BlockIoLimits{};
  resources.block_io->weight = 1000;
  resources.block_io->weight_device = {{.major = 8, .minor = 0, .weight = 10, .leaf_weight = {}}};
  resources.block_io->throttle_read_bps_device = {{.major = 8, .minor = 16, .rate = 1024}};
  resources.block_io->throttle_write_iops_device = {{.major = 8, .minor = 16, .rate = 0}};
  const LimitWrites writes = PlanLimits(resources, "");
  EXPECT_EQ(Texts(writes.limits),
            (Strings{"io.bfq.weight=1000", "io.weight=10000", "io.bfq.weight=8:0 10",
                     "io.weight=8:0 1", "io.max=8:16 rbps=1024", "io.max=8:16 wiops=max"}));
  EXPECT_TRUE(writes.limits[0].if_exists);
  EXPECT_EQ(writes.limits[1].unless, "io.bfq.weight");
  resources.block_io->weight = 1001;
  EXPECT_EQ(PlanLimits(resources, "").problems,
            Strings{"/blockIO/weight: got 1001; allowed are 10 to 1000"});
}

TEST(PlanLimits, HugepagesRdmaUnified) {
  oci::Resources resources;
  resources.hugepage_limits = {{.page_size = "2MB", .limit = 4194304}};
  resources.rdma["mlx5_1"] = {.hca_handles = 3, .hca_objects = 10000};
  resources.unified["io.max"] = "8:0 rbps=1\n8:16 rbps=2";
  resources.unified["memory.high"] = "7";
  const LimitWrites writes = PlanLimits(resources, "");
  EXPECT_EQ(Texts(writes.limits),
            (Strings{"hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304",
                     "rdma.max=mlx5_1 hca_handle=3 hca_object=10000", "io.max=8:0 rbps=1",
                     "io.max=8:16 rbps=2"}));
  EXPECT_EQ(Texts(writes.last_limits), Strings{"memory.high=7"});
}

TEST(PlanLimits, UnifiedMayOnlyNameLimits) {
  for (const char* file :
       {"../memory.max", "a/b.c", "cgroup.procs", "cgroup.kill", "memory", "", ".max", "memory."}) {
    oci::Resources resources;
    resources.unified[file] = "1";
    const LimitWrites writes = PlanLimits(resources, "");
    EXPECT_EQ(writes.problems.size(), 1U) << file;
    EXPECT_EQ(Texts(writes.limits), Strings{}) << file;
  }
  oci::Resources resources;
  resources.unified["cgroup.max.depth"] = "1";
  EXPECT_EQ(Texts(PlanLimits(resources, "").limits), Strings{"cgroup.max.depth=1"});
}

TEST(DropUnavailable, NamesControllerAndFileUnlessNoLimitWasAsked) {
  std::vector<CgroupWrite> writes = {
      {.file = "memory.max", .text = "5", .pointer = "/memory/limit"},
      {.file = "pids.max", .text = "max", .pointer = "/pids/limit"},
      {.file = "hugetlb.2MB.max", .text = "0", .pointer = "/hugepageLimits/0"},
      {.file = "cgroup.max.depth", .text = "1", .pointer = "/unified/cgroup.max.depth"}};
  EXPECT_EQ(
      DropUnavailable(writes, {"hugetlb"}, "/sys/fs/cgroup/unified"),
      Strings{"/memory/limit: needs the cgroup controller \"memory\" (file memory.max), which "
              "/sys/fs/cgroup/unified does not have (it has: hugetlb)"});
  EXPECT_EQ(Texts(writes), (Strings{"hugetlb.2MB.max=0", "cgroup.max.depth=1"}));
}

}  // namespace
}  // namespace coracle::runtime
