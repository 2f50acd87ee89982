#include "coracle/runtime/cgroup.h"

#include <sys/stat.h>

#include <filesystem>

#include "coracle/base/file.h"
#include "runtime/cgroup_fixture.h"

namespace coracle::runtime {
namespace {

using Strings = std::vector<std::string>;

CgroupHost Host(const std::string& own) {
  return {.mount = "/sys/fs/cgroup", .own = own, .controllers = {"cpu", "memory", "pids"}};
}

oci::Spec SpecWithPath(const std::string& path) {
  oci::Spec spec;
  spec.linux_.cgroups_path = path;
  return spec;
}

std::string PlannedPath(const std::string& own, const std::string& path) {
  const Result<CgroupPlan> plan = PlanCgroup(Host(own), SpecWithPath(path), "demo", false);
  return plan.has_value() ? plan->Directory() : plan.error().message;
}

TEST(PlanCgroup, PlacesThePath) {
  EXPECT_EQ(PlannedPath("/a/b", "/pod/demo"), "/sys/fs/cgroup/pod/demo");
  EXPECT_EQ(PlannedPath("/a/b", "//pod/./demo/"), "/sys/fs/cgroup/pod/demo");
  EXPECT_EQ(PlannedPath("/a/b", "pod/demo"), "/sys/fs/cgroup/a/pod/demo");
  EXPECT_EQ(PlannedPath("/a/b", ""), "/sys/fs/cgroup/a/demo");
  EXPECT_EQ(PlannedPath("/", ""), "/sys/fs/cgroup/demo");
}

TEST(PlanCgroup, RefusesPathsThatLeadOutOrToTheRoot) {
  for (const char* path : {"/..", "/pod/../../x", "..", "/", "/."}) {
    const Result<CgroupPlan> plan = PlanCgroup(Host("/"), SpecWithPath(path), "demo", false);
    ASSERT_FALSE(plan.has_value()) << path;
    EXPECT_EQ(plan.error().code, Code::kInvalidConfig);
    EXPECT_NE(plan.error().message.find("/linux/cgroupsPath"), std::string::npos);
  }
}

TEST(PlanCgroup, MissingControllerIsAnErrorOrAWarning) {
  oci::Spec spec = SpecWithPath("/demo");
  spec.linux_.resources.cpu = oci::CpuLimits{};
  spec.linux_.resources.cpu->cpus = "0";
  spec.linux_.resources.pids_limit = 5;
  const Result<CgroupPlan> refused = PlanCgroup(Host("/"), spec, "demo", false);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kUnsupported);
  EXPECT_NE(refused.error().message.find("/linux/resources/cpu/cpus: needs the cgroup controller "
                                         "\"cpuset\" (file cpuset.cpus)"),
            std::string::npos)
      << refused.error().message;
  const Result<CgroupPlan> plan = PlanCgroup(Host("/"), spec, "demo", true);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->warnings.size(), 1U);
  EXPECT_EQ(plan->controllers, Strings{"pids"});
}

TEST_F(CgroupTest, MakesAndUndoesOnlyItsOwnDirectories) {
  std::filesystem::create_directory(top_);
  Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value()) << cgroup.error().message;
  EXPECT_EQ(cgroup->path, top_ + "/demo");
  EXPECT_EQ(cgroup->created, Strings{top_ + "/demo"});
  UndoMakeCgroup(cgroup->created);
  EXPECT_FALSE(std::filesystem::exists(top_ + "/demo"));
  EXPECT_TRUE(std::filesystem::exists(top_));
}

TEST_F(CgroupTest, TakesOverAnEmptyLeftoverButNoneInUse) {
  ASSERT_TRUE(Make().has_value());
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  EXPECT_EQ(cgroup->created, Strings{});
  SpawnSleeper(*cgroup);
  const Result<Cgroup> busy = Make();
  ASSERT_FALSE(busy.has_value());
  EXPECT_EQ(busy.error().code, Code::kWrongState);
  EXPECT_EQ(busy.error().message.rfind("container's cgroup is not empty: 1 process(es) found", 0),
            0U);
}

TEST_F(CgroupTest, RefusesAFrozenCgroupAndLeavesNothing) {
  std::filesystem::create_directory(top_);
  ASSERT_TRUE(FreezeCgroup(top_).has_value());
  const Result<Cgroup> cgroup = Make();
  ASSERT_FALSE(cgroup.has_value());
  EXPECT_EQ(cgroup.error().code, Code::kWrongState);
  EXPECT_NE(cgroup.error().message.find("unexpectedly frozen"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(top_ + "/demo"));
}

TEST_F(CgroupTest, RefusesAThreadedParent) {
  std::filesystem::create_directories(top_ + "/threaded");
  ASSERT_TRUE(WriteKernelFile(top_ + "/threaded/cgroup.type", "threaded").has_value());
  spec_.linux_.cgroups_path = top_.substr(host_.mount.size()) + "/threaded/demo";
  const Result<Cgroup> cgroup = Make();
  ASSERT_FALSE(cgroup.has_value());
  EXPECT_NE(cgroup.error().message.find("\"domain invalid\""), std::string::npos)
      << cgroup.error().message;
  EXPECT_FALSE(std::filesystem::exists(top_ + "/threaded/demo"));
}

TEST_F(CgroupTest, ProcessesStartInside) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  const pid_t pid = SpawnSleeper(*cgroup);
  EXPECT_EQ(CgroupPids(cgroup->path).value(), std::vector<int>{pid});
  EXPECT_EQ(CgroupPids(top_).value(), std::vector<int>{pid}) << "those below count too";
  EXPECT_EQ(CgroupPids(top_ + "/none").error().code, Code::kNotFound);
}

TEST_F(CgroupTest, AppliesHugepageLimits) {
  if (!Has("hugetlb")) GTEST_SKIP() << "no hugetlb controller at " << host_.mount;
  if (!std::filesystem::exists("/sys/kernel/mm/hugepages/hugepages-2048kB"))
    GTEST_SKIP() << "this kernel has no 2 MB pages";
  spec_.linux_.resources.hugepage_limits = {{.page_size = "2MB", .limit = 4194304}};
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value()) << cgroup.error().message;
  EXPECT_EQ(ReadFile(cgroup->path + "/hugetlb.2MB.max").value(), "4194304\n");
  EXPECT_EQ(ReadFile(cgroup->path + "/hugetlb.2MB.rsvd.max").value(), "4194304\n");
}

TEST_F(CgroupTest, NamesTheMemberTheKernelRefuses) {
  if (!Has("hugetlb")) GTEST_SKIP() << "no hugetlb controller at " << host_.mount;
  spec_.linux_.resources.hugepage_limits = {{.page_size = "3MB", .limit = 0}};
  const Result<Cgroup> cgroup = Make();
  ASSERT_FALSE(cgroup.has_value());
  EXPECT_EQ(cgroup.error().message,
            "/linux/resources/hugepageLimits/0: open(2) path=hugetlb.3MB.max: ENOENT (No such file "
            "or directory)");
}

TEST_F(CgroupTest, AppliesCpuMemoryPidsAndCpuset) {
  for (const char* controller : {"cpu", "memory", "pids", "cpuset"}) {
    if (!Has(controller)) GTEST_SKIP() << "no " << controller << " controller at " << host_.mount;
  }
  oci::Resources& resources = spec_.linux_.resources;
  resources.cpu = oci::CpuLimits{};
  resources.cpu->shares = 512;
  resources.cpu->quota_us = 50000;
  resources.cpu->period_us = 200000;
  resources.cpu->burst_us = 10000;
  resources.cpu->cpus = "0";
  resources.memory = oci::MemoryLimits{};
  resources.memory->limit = 64 << 20;
  resources.memory->reservation = 32 << 20;
  resources.memory->swap = 96 << 20;
  resources.pids_limit = 7;
  resources.unified["memory.high"] = "50331648";
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value()) << cgroup.error().message;
  const auto text = [&](const char* file) {
    return ReadFile(cgroup->path + "/" + file).value_or("missing");
  };
  EXPECT_EQ(text("cpu.weight"), "59\n");
  EXPECT_EQ(text("cpu.max"), "50000 200000\n");
  EXPECT_EQ(text("cpu.max.burst"), "10000\n");
  EXPECT_EQ(text("cpuset.cpus"), "0\n");
  EXPECT_EQ(text("memory.max"), "67108864\n");
  EXPECT_EQ(text("memory.low"), "33554432\n");
  EXPECT_EQ(text("memory.swap.max"), "33554432\n");
  EXPECT_EQ(text("memory.high"), "50331648\n");
  EXPECT_EQ(text("pids.max"), "7\n");
}

TEST_F(CgroupTest, AppliesIdleAndIoWeight) {
  for (const char* controller : {"cpu", "io"}) {
    if (!Has(controller)) GTEST_SKIP() << "no " << controller << " controller at " << host_.mount;
  }
  spec_.linux_.resources.cpu = oci::CpuLimits{};
  spec_.linux_.resources.cpu->idle = 1;
  Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value()) << cgroup.error().message;
  EXPECT_EQ(ReadFile(cgroup->path + "/cpu.idle").value(), "1\n");
  if (!std::filesystem::exists(cgroup->path + "/io.weight") &&
      !std::filesystem::exists(cgroup->path + "/io.bfq.weight"))
    GTEST_SKIP() << "this kernel has neither io.weight nor io.bfq.weight";
  spec_.linux_.resources.block_io = oci::BlockIoLimits{};
  spec_.linux_.resources.block_io->weight = 1000;
  cgroup = Make();
  ASSERT_TRUE(cgroup.has_value()) << cgroup.error().message;
}

TEST_F(CgroupTest, DelegatesTheFilesTheKernelNames) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  ASSERT_TRUE(DelegateCgroup(cgroup->directory.get(), 100000).has_value());
  struct stat status {};
  for (const char* name : {"", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"}) {
    ASSERT_EQ(::stat((cgroup->path + name).c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 100000U) << name;
  }
  ASSERT_EQ(::stat((cgroup->path + "/cgroup.freeze").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0U) << "limits stay ours";
}

TEST_F(CgroupTest, OpensASubCgroupButNoneAbove) {
  const Result<Cgroup> cgroup = Make();
  ASSERT_TRUE(cgroup.has_value());
  EXPECT_TRUE(OpenCgroup(cgroup->path, "a/b").has_value());
  EXPECT_TRUE(std::filesystem::exists(cgroup->path + "/a/b/cgroup.procs"));
  EXPECT_EQ(OpenCgroup(cgroup->path, "../x").error().code, Code::kInvalidConfig);
}

}  // namespace
}  // namespace coracle::runtime
