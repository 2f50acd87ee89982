#include "cgroup_limits.h"
#include "coracle/base/file.h"
#include "runtime/cgroup_fixture.h"

namespace coracle::runtime {
namespace {

// Returns the warnings.
Result<std::vector<std::string>> UpdateCgroup(const std::string& path,
                                              const oci::Resources& resources,
                                              bool ignore_missing_controllers) {
  const CgroupPlan update = TRY(PlanUpdate(path, resources, ignore_missing_controllers));
  TRY(ApplyUpdate(path, update));
  return update.warnings;
}

class UpdateTest : public CgroupTest {
 protected:
  void SetUp() override {
    CgroupTest::SetUp();
    if (IsSkipped()) return;
    for (const char* controller : {"cpu", "memory"}) {
      if (!Has(controller)) GTEST_SKIP() << "no " << controller << " controller at " << host_.mount;
    }
    spec_.linux_.resources.cpu = oci::CpuLimits{};
    spec_.linux_.resources.cpu->quota_us = 50000;
    spec_.linux_.resources.cpu->period_us = 100000;
    spec_.linux_.resources.cpu->burst_us = 20000;
    spec_.linux_.resources.memory = oci::MemoryLimits{};
    spec_.linux_.resources.memory->limit = 64 << 20;
    const Result<Cgroup> cgroup = Make();
    ASSERT_TRUE(cgroup.has_value()) << cgroup.error().message;
    path_ = cgroup->path;
  }
  [[nodiscard]] std::string Text(const char* file) const {
    return ReadFile(path_ + "/" + file).value_or("missing");
  }

  std::string path_;
};

TEST_F(UpdateTest, KeepsWhatIsAbsent) {
  oci::Resources resources;
  resources.cpu = oci::CpuLimits{};
  resources.cpu->period_us = 200000;
  resources.memory = oci::MemoryLimits{};
  resources.memory->swap = 96 << 20;
  const auto updated = UpdateCgroup(path_, resources, false);
  ASSERT_TRUE(updated.has_value()) << updated.error().message;
  EXPECT_EQ(Text("cpu.max"), "50000 200000\n");
  EXPECT_EQ(Text("cpu.max.burst"), "20000\n");
  EXPECT_EQ(Text("memory.max"), "67108864\n");
  EXPECT_EQ(Text("memory.swap.max"), "33554432\n");
}

TEST_F(UpdateTest, BurstFollowsTheQuotaBothWays) {
  oci::Resources resources;
  resources.cpu = oci::CpuLimits{};
  resources.cpu->quota_us = 10000;
  resources.cpu->burst_us = 5000;
  ASSERT_TRUE(UpdateCgroup(path_, resources, false).has_value());
  EXPECT_EQ(Text("cpu.max.burst"), "5000\n");
  resources.cpu->quota_us = 80000;
  resources.cpu->burst_us = 80000;
  ASSERT_TRUE(UpdateCgroup(path_, resources, false).has_value());
  EXPECT_EQ(Text("cpu.max"), "80000 100000\n");
  EXPECT_EQ(Text("cpu.max.burst"), "80000\n");
  resources.cpu->burst_us = 90000;
  const auto refused = UpdateCgroup(path_, resources, false);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().message.rfind("/cpu/burst: ", 0), 0U) << refused.error().message;
}

TEST_F(UpdateTest, CheckBeforeUpdateLooksAtTheUsage) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  Spawn(*cgroup, [] {
    std::vector<char> memory(16 << 20, 'x');
    ::raise(SIGSTOP);
    return memory[0] == 'x' ? 0 : 1;
  });
  ::waitpid(children_.back(), nullptr, WUNTRACED);
  oci::Resources resources;
  resources.memory = oci::MemoryLimits{};
  resources.memory->limit = 1 << 20;
  resources.memory->check_before_update = true;
  const auto refused = UpdateCgroup(path_, resources, false);
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().message.find("/memory/limit: got 1048576; with checkBeforeUpdate"),
            std::string::npos);
  EXPECT_EQ(Text("memory.max"), "67108864\n");
}

TEST_F(CgroupTest, UpdateValidatesBeforeTheFirstWrite) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  oci::Resources resources;
  resources.network = oci::NetworkLimits{.class_id = 1, .priorities = {}};
  resources.unified["cgroup.max.depth"] = "3";
  const auto refused = UpdateCgroup(cgroup->path, resources, false);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kInvalidConfig);
  EXPECT_EQ(ReadFile(cgroup->path + "/cgroup.max.depth").value(), "max\n");
  resources.network.reset();
  ASSERT_TRUE(UpdateCgroup(cgroup->path, resources, false).has_value());
  EXPECT_EQ(ReadFile(cgroup->path + "/cgroup.max.depth").value(), "3\n");
}

TEST_F(CgroupTest, UpdateWarnsOfAMissingControllerOnRequest) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  oci::Resources resources;
  resources.unified["imaginary.max"] = "3";
  EXPECT_EQ(UpdateCgroup(cgroup->path, resources, false).error().code, Code::kUnsupported);
  EXPECT_EQ(UpdateCgroup(cgroup->path, resources, true).value().size(), 1U);
}

}  // namespace
}  // namespace coracle::runtime
