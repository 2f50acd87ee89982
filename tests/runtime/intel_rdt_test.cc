// Against a plain directory, in which the test makes the files that the kernel would make: no
// machine of ours has resctrl.
#include "intel_rdt.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "coracle/base/file.h"
#include "support/temp_dir.h"

namespace coracle::runtime {
namespace {

namespace fs = std::filesystem;

class Rdt : public ::testing::Test {
 protected:
  void SetUp() override {
    fd_ = OpenRdt(temp_.path()).value();
    MakeFiles(".", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n");
    fs::create_directory(temp_.path() + "/mon_groups");
  }
  void MakeFiles(const std::string& group, const std::string& schemata) {
    ASSERT_TRUE(WriteFileAtomically(At(group + "/schemata"), schemata).has_value());
    ASSERT_TRUE(WriteFileAtomically(At(group + "/tasks"), "").has_value());
    fs::create_directory(At(group + "/mon_groups"));
  }
  void MakeGroup(const std::string& group, const std::string& schemata) {
    fs::create_directory(At(group));
    MakeFiles(group, schemata);
  }
  [[nodiscard]] std::string At(const std::string& below) const {
    return temp_.path() + "/" + below;
  }
  [[nodiscard]] std::string Text(const std::string& file) const {
    return ReadFile(At(file)).value_or("");
  }
  RdtPlan Plan(const oci::IntelRdt& rdt) { return PlanRdtAt(fd_.get(), rdt, "demo"); }
  Status Make(const RdtPlan& plan) { return MakeRdtGroups(fd_.get(), plan, made_); }

  test::TempDir temp_;
  UniqueFd fd_;
  std::vector<std::string> made_;
};

TEST_F(Rdt, WithoutClosIdTheGroupIsNamedAndRemovedWithTheContainer) {
  oci::IntelRdt rdt;
  rdt.l3_cache_schema = "L3:0=7f0;1=1f";
  rdt.mem_bw_schema = "MB:0=20;1=70";
  rdt.schemata = {"L2:0=f", "MB:0=30"};
  rdt.enable_monitoring = true;
  const RdtPlan plan = Plan(rdt);
  EXPECT_FALSE(Make(plan).has_value());  // a plain mkdir(2) makes no mon_groups
  EXPECT_EQ(made_, std::vector<std::string>{"demo"});
  MakeFiles("demo", "");
  made_.clear();
  ASSERT_TRUE(Make(plan).has_value());
  EXPECT_EQ(made_, std::vector<std::string>{"demo/mon_groups/demo"});
  ASSERT_TRUE(WriteRdtSchemata(fd_.get(), plan.group, plan.schemata).has_value());
  EXPECT_EQ(Text("demo/schemata"), "L3:0=7f0;1=1f\nMB:0=20;1=70\nL2:0=f\nMB:0=30\n");

  ASSERT_TRUE(WriteFileAtomically(At("demo/mon_groups/demo/tasks"), "").has_value());
  EXPECT_EQ(RdtPlaces(plan), (std::vector<std::string>{"demo", "demo/mon_groups/demo"}));
  ASSERT_TRUE(JoinRdtGroups(fd_.get(), RdtPlaces(plan), 4711).has_value());
  EXPECT_EQ(Text("demo/tasks"), "4711");
  EXPECT_EQ(Text("demo/mon_groups/demo/tasks"), "4711");

  EXPECT_EQ(plan.deleted, (std::vector<std::string>{"demo", "demo/mon_groups/demo"}));
  fs::remove(At("demo/mon_groups/demo/tasks"));  // the kernel's own files do not keep a group
  ASSERT_FALSE(RemoveRdtGroups(fd_.get(), plan.deleted).has_value());
  EXPECT_FALSE(fs::exists(At("demo/mon_groups/demo")));
  fs::remove_all(At("demo/mon_groups"));
  fs::remove(At("demo/schemata"));
  fs::remove(At("demo/tasks"));
  EXPECT_TRUE(RemoveRdtGroups(fd_.get(), plan.deleted).has_value());
  EXPECT_FALSE(fs::exists(At("demo")));
  EXPECT_TRUE(RemoveRdtGroups(fd_.get(), plan.deleted).has_value());
}

TEST_F(Rdt, AnEmptyObjectStillMakesAGroup) {
  const RdtPlan plan = Plan({});
  ASSERT_TRUE(Make(plan).has_value());
  EXPECT_EQ(made_, std::vector<std::string>{"demo"});
  EXPECT_TRUE(plan.schemata.empty());
}

TEST_F(Rdt, AGroupThatWasThereBeforeStays) {
  MakeGroup("demo", "");
  const RdtPlan plan = Plan({});
  ASSERT_TRUE(Make(plan).has_value());
  EXPECT_TRUE(made_.empty());
  EXPECT_TRUE(plan.deleted.empty());
}

TEST_F(Rdt, AClosIdWithoutSchemaMustExist) {
  oci::IntelRdt rdt;
  rdt.clos_id = "guaranteed";
  const Status missing = Make(Plan(rdt));
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message.find("/linux/intelRdt/closID"), std::string::npos);
  EXPECT_FALSE(fs::exists(At("guaranteed")));
  MakeGroup("guaranteed", "");
  EXPECT_TRUE(Make(Plan(rdt)).has_value());
  EXPECT_TRUE(made_.empty());
}

TEST_F(Rdt, AClosIdIsMadeButNeverDeleted) {
  oci::IntelRdt rdt;
  rdt.clos_id = "guaranteed";
  rdt.schemata = {"MB:0=50"};
  rdt.enable_monitoring = true;
  const RdtPlan plan = Plan(rdt);
  EXPECT_FALSE(Make(plan).has_value());  // as above: no mon_groups
  EXPECT_EQ(made_, std::vector<std::string>{"guaranteed"});
  EXPECT_EQ(plan.deleted, std::vector<std::string>{"guaranteed/mon_groups/demo"});
}

TEST_F(Rdt, AClosIdThatExistsMustHaveTheSchema) {
  MakeGroup("shared", "    MB:0=20;1=70\n    L3:0=00ff;1=f\n");
  oci::IntelRdt rdt;
  rdt.clos_id = "shared";
  rdt.l3_cache_schema = "L3:1=0f;0=ff";
  rdt.mem_bw_schema = "MB:0=20";
  EXPECT_TRUE(Make(Plan(rdt)).has_value());
  rdt.mem_bw_schema = "MB:0=30";
  const Status other = Make(Plan(rdt));
  ASSERT_FALSE(other.has_value());
  EXPECT_NE(other.error().message.find("MB:0=30"), std::string::npos);
  rdt.mem_bw_schema.clear();
  rdt.schemata = {"MB:0=30"};  // is written, not compared
  EXPECT_TRUE(Make(Plan(rdt)).has_value());
}

TEST_F(Rdt, TheRootIsTheGroupOfASlash) {
  oci::IntelRdt rdt;
  rdt.clos_id = "/";
  const RdtPlan plan = Plan(rdt);
  ASSERT_TRUE(Make(plan).has_value());
  ASSERT_TRUE(JoinRdtGroups(fd_.get(), RdtPlaces(plan), 4711).has_value());
  EXPECT_EQ(Text("tasks"), "4711");
  EXPECT_TRUE(plan.deleted.empty());
}

TEST_F(Rdt, TheKernelsWordsAreInTheError) {
  fs::create_directory(At("info"));
  ASSERT_TRUE(WriteFileAtomically(At("info/last_cmd_status"), "Unknown L9 cache\n").has_value());
  const Status status = WriteRdtSchemata(fd_.get(), "nosuch", {"L9:0=1"});
  ASSERT_FALSE(status.has_value());
  EXPECT_NE(status.error().message.find("last_cmd_status: Unknown L9 cache"), std::string::npos);
}

TEST(RdtPlanning, NeedsTheFileSystem) {
  oci::Spec spec;
  EXPECT_FALSE(PlanRdt(spec, "demo").value().has_value());
  if (fs::exists("/sys/fs/resctrl/tasks")) GTEST_SKIP() << "this host has resctrl";
  spec.linux_.intel_rdt.emplace();
  const auto plan = PlanRdt(spec, "demo");
  ASSERT_FALSE(plan.has_value());
  EXPECT_EQ(plan.error().code, Code::kUnsupported);
  EXPECT_NE(plan.error().message.find("/linux/intelRdt"), std::string::npos);
}

}  // namespace
}  // namespace coracle::runtime
