#include "store/database.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "store/objects.h"
#include "support/temp_dir.h"

namespace coracle::cri {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  std::unique_ptr<Database> Open() {
    auto database = Database::Open(path);
    EXPECT_TRUE(database.has_value()) << database.error().message;
    return database.has_value() ? *std::move(database) : nullptr;
  }
  static ContainerRecord MakeContainer() {
    ContainerRecord record;
    record.id = "c0";
    record.sandbox_id = "s0";
    auto config = std::make_shared<v1::ContainerConfig>();
    config->mutable_metadata()->set_name("one");
    config->add_envs()->set_key("BYTES");
    config->mutable_envs(0)->set_value("\xff\x01");
    record.config = config;
    record.image_id = "sha256:1";
    record.boot_id = "b";
    record.cgroups_path = "/p/c";
    record.log_path = "/l";
    record.stop_signal = "SIGTERM";
    record.uid = 4294967294;
    record.gid = 2;
    record.groups = {2, 4294967294};
    record.pid = 3;
    record.created_at_ns = 4;
    record.ready_at_ns = 5;
    record.started_at_ns = 6;
    record.finished_at_ns = 7;
    record.exit_code = 137;
    record.reason = "OOMKilled";
    record.message = "m";
    return record;
  }
  static SandboxRecord MakeSandbox() {
    SandboxRecord record;
    record.id = "s0";
    auto config = std::make_shared<v1::PodSandboxConfig>();
    (*config->mutable_labels())["a"] = "b";
    record.config = config;
    record.runtime_handler = "coracle";
    record.boot_id = "b";
    record.created_at_ns = 1;
    record.ready_at_ns = 2;
    record.lost_at_ns = 3;
    record.stopped_at_ns = 4;
    record.ips = {"10.0.0.1", "fd00::1"};
    record.cni_result = "{}";
    record.pause_pid = 9;
    return record;
  }
  void Sql(const char* text) {
    sqlite3* raw = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &raw), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(raw, text, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(raw);
  }
  test::TempDir dir;
  const std::string path = dir.path() + "/coracle.db";
  std::vector<std::string> unreadable;
};

TEST_F(DatabaseTest, GivesBackAContainer) {
  const ContainerRecord put = MakeContainer();
  ASSERT_TRUE(Open()->Put(put).has_value());
  const auto got = Open()->Containers(unreadable);
  ASSERT_TRUE(got.has_value());
  ASSERT_EQ(got->size(), 1U);
  const ContainerRecord& record = got->front();
  EXPECT_EQ(record.config->SerializeAsString(), put.config->SerializeAsString());
  EXPECT_EQ(std::tie(record.id, record.sandbox_id, record.image_id, record.boot_id,
                     record.cgroups_path, record.log_path, record.stop_signal, record.uid,
                     record.gid, record.groups, record.pid),
            std::tie(put.id, put.sandbox_id, put.image_id, put.boot_id, put.cgroups_path,
                     put.log_path, put.stop_signal, put.uid, put.gid, put.groups, put.pid));
  EXPECT_EQ(std::tie(record.created_at_ns, record.ready_at_ns, record.started_at_ns,
                     record.finished_at_ns, record.exit_code, record.reason, record.message),
            std::tie(put.created_at_ns, put.ready_at_ns, put.started_at_ns, put.finished_at_ns,
                     put.exit_code, put.reason, put.message));
  EXPECT_EQ(record.State(), v1::CONTAINER_EXITED);
}

TEST_F(DatabaseTest, GivesBackASandboxAndForgetsIt) {
  const SandboxRecord put = MakeSandbox();
  const auto database = Open();
  ASSERT_TRUE(database->Put(put).has_value());
  ASSERT_TRUE(database->Put(put).has_value());  // replaced, not doubled
  const auto got = database->Sandboxes(unreadable);
  ASSERT_TRUE(got.has_value());
  ASSERT_EQ(got->size(), 1U);
  const SandboxRecord& record = got->front();
  EXPECT_EQ(record.config->SerializeAsString(), put.config->SerializeAsString());
  EXPECT_EQ(std::tie(record.id, record.runtime_handler, record.boot_id, record.created_at_ns,
                     record.ready_at_ns, record.lost_at_ns, record.stopped_at_ns, record.ips,
                     record.cni_result, record.pause_pid),
            std::tie(put.id, put.runtime_handler, put.boot_id, put.created_at_ns, put.ready_at_ns,
                     put.lost_at_ns, put.stopped_at_ns, put.ips, put.cni_result, put.pause_pid));
  ASSERT_TRUE(database->RemoveSandbox("s0").has_value());
  ASSERT_TRUE(database->RemoveSandbox("s0").has_value());
  EXPECT_TRUE(database->Sandboxes(unreadable)->empty());
}

TEST_F(DatabaseTest, PassesOverARecordThatIsBroken) {
  ASSERT_TRUE(Open()->Put(MakeSandbox()).has_value());
  Sql("UPDATE sandboxes SET config='{broken'");
  EXPECT_TRUE(Open()->Sandboxes(unreadable)->empty());
  EXPECT_EQ(unreadable, std::vector<std::string>{"s0"});
}

TEST_F(DatabaseTest, RefusesASchemaItDoesNotKnow) {
  Open();
  Sql("PRAGMA user_version=99");
  const auto database = Database::Open(path);
  ASSERT_FALSE(database.has_value());
  EXPECT_EQ(database.error().code, Code::kUnsupported);
}

TEST_F(DatabaseTest, ChangesAreOnDiskAndInMemory) {
  const auto database = Open();
  Container container(MakeContainer());
  ASSERT_TRUE(container.Change(*database, [](ContainerRecord& record) { record.exit_code = 1; })
                  .has_value());
  EXPECT_EQ(container.Read().exit_code, 1);
  EXPECT_EQ(database->Containers(unreadable)->front().exit_code, 1);
}

TEST(Store, FindsByUnambiguousBeginning) {
  Store<Sandbox> store;
  for (const char* id : {"abc1", "abd2", "abd"}) {
    SandboxRecord record;
    record.id = id;
    store.Add(std::make_shared<Sandbox>(record));
  }
  EXPECT_EQ(store.Find("abc")->id, "abc1");
  EXPECT_EQ(store.Find("abd")->id, "abd");  // exact
  EXPECT_EQ(store.Find("ab"), nullptr);
  EXPECT_EQ(store.Find(""), nullptr);
  EXPECT_EQ(store.Find("x"), nullptr);
  store.Remove("abd");
  EXPECT_EQ(store.Find("abd")->id, "abd2");
}

TEST(CpuRate, NeedsTwoSamples) {
  CpuRate rate;
  EXPECT_EQ(rate.Add({.at_ns = 1'000'000'000, .usage_ns = 0}), 0U);
  EXPECT_EQ(rate.Add({.at_ns = 2'000'000'000, .usage_ns = 500'000'000}), 500'000'000U);
  EXPECT_EQ(rate.Add({.at_ns = 2'000'000'100, .usage_ns = 900'000'000}), 500'000'000U);
}

}  // namespace
}  // namespace coracle::cri
