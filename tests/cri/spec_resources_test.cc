#include "spec_resources.h"

#include <gtest/gtest.h>

namespace coracle::cri {
namespace {

TEST(MakeResources, LeavesOutWhatIsZero) {
  const auto resources = MakeResources({}, "");
  ASSERT_TRUE(resources.has_value());
  EXPECT_FALSE(resources->memory.has_value());
  EXPECT_FALSE(resources->cpu.has_value());
}

TEST(MakeResources, TakesEveryLimit) {
  v1::LinuxContainerResources limits;
  limits.set_memory_limit_in_bytes(64 << 20);
  limits.set_memory_swap_limit_in_bytes(96 << 20);
  limits.set_cpu_quota(50000);
  limits.set_cpu_period(100000);
  limits.set_cpu_shares(512);
  limits.set_cpuset_cpus("0-1");
  limits.add_hugepage_limits()->set_page_size("2MB");
  (*limits.mutable_unified())["memory.oom.group"] = "1";
  const auto resources = MakeResources(limits, "");
  ASSERT_TRUE(resources.has_value());
  EXPECT_EQ(resources->memory->limit, 64 << 20);
  EXPECT_EQ(resources->memory->swap, 96 << 20);
  EXPECT_EQ(resources->cpu->quota_us, 50000);
  EXPECT_EQ(resources->cpu->period_us, 100000U);
  EXPECT_EQ(resources->cpu->shares, 512U);
  EXPECT_EQ(resources->cpu->cpus, "0-1");
  EXPECT_EQ(resources->hugepage_limits.size(), 1U);
  EXPECT_EQ(resources->unified.at("memory.oom.group"), "1");
}

TEST(MakeResources, NamesTheFieldThatCannotBe) {
  v1::LinuxContainerResources limits;
  limits.set_cpu_period(-1);
  auto resources = MakeResources(limits, "/linux");
  ASSERT_FALSE(resources.has_value());
  EXPECT_TRUE(resources.error().message.starts_with("/linux/cpu_period: "));
  limits.clear_cpu_period();
  limits.set_memory_limit_in_bytes(2000);
  limits.set_memory_swap_limit_in_bytes(1000);
  EXPECT_FALSE(MakeResources(limits, "").has_value());
  limits.clear_memory_swap_limit_in_bytes();
  (*limits.mutable_unified())["../cgroup.procs"] = "1";
  EXPECT_FALSE(MakeResources(limits, "").has_value());
}

TEST(MergeResources, KeepsWhatAnUpdateDoesNotSay) {
  v1::LinuxContainerResources current, update;
  current.set_cpu_shares(100);
  current.set_memory_limit_in_bytes(1000);
  current.set_cpuset_cpus("0");
  update.set_memory_limit_in_bytes(2000);
  (*update.mutable_unified())["memory.high"] = "1500";
  const auto merged = MergeResources(current, update);
  EXPECT_EQ(merged.cpu_shares(), 100);
  EXPECT_EQ(merged.memory_limit_in_bytes(), 2000);
  EXPECT_EQ(merged.cpuset_cpus(), "0");
  EXPECT_EQ(merged.unified().at("memory.high"), "1500");
}

TEST(PodCgroup, KnowsPathsAndSlices) {
  EXPECT_EQ(PodCgroup("", "id").value_or("?"), "/coracle-pod-id");
  EXPECT_EQ(PodCgroup("/kubepods/podX/", "id").value_or("?"), "/kubepods/podX");
  EXPECT_EQ(PodCgroup("a-b.slice", "id").value_or("?"), "/a.slice/a-b.slice");
  EXPECT_EQ(PodCgroup("/a.slice/a-b.slice", "id").value_or("?"), "/a.slice/a-b.slice");
  for (const char* bad : {"../x", "/a/../b", "-.slice", "a--b.slice", ".slice"}) {
    EXPECT_FALSE(PodCgroup(bad, "id").has_value()) << bad;
  }
}

}  // namespace
}  // namespace coracle::cri
