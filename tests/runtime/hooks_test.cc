#include "hooks.h"

#include <gtest/gtest.h>

#include "container_fixture.h"
#include "coracle/base/json.h"

namespace coracle::runtime {
namespace {

oci::Hook Shell(const std::string& script) {
  oci::Hook hook;
  hook.path = "/bin/sh";
  hook.args = {"sh", "-c", script};
  return hook;
}

TEST(RunHooks, StopsAtTheFirstThatFailsAndTellsWhatItSaid) {
  const test::TempDir dir;
  const auto run = RunHooks({Shell("echo sorry >&2; exit 3"), Shell("touch " + dir.path() + "/x")},
                            "createRuntime", {});
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().message, "createRuntime hook 0 (/bin/sh): exit status 3, it said: sorry");
  EXPECT_FALSE(std::filesystem::exists(dir.path() + "/x"));
}

TEST(RunHooks, GivesNoEnvironmentButItsOwn) {
  oci::Hook hook = Shell("test \"$WORD\" = seen && test -z \"$HOME\"");
  hook.env = {"WORD=seen"};
  const auto run = RunHooks({hook}, "prestart", {});
  EXPECT_TRUE(run.has_value()) << run.error().message;
}

TEST(RunHooks, KillsOneThatTakesTooLong) {
  oci::Hook hook = Shell("sleep 1000");
  hook.timeout_s = 1;
  EXPECT_EQ(RunHooks({hook}, "prestart", {}).error().errnum, ETIMEDOUT);
}

class HooksTest : public test::ContainerTest {
 protected:
  [[nodiscard]] std::string Kept(const std::string& name) const {
    return temp_.path() + "/rootfs/tmp/" + name;
  }
  oci::Hook KeepState(const std::string& path) { return Shell("cat > " + path); }
  [[nodiscard]] static Json StateIn(const std::string& path) {
    return ParseJson(ReadFile(path).value_or("{}"), path).value_or(Json::object());
  }
};

TEST_F(HooksTest, AllSixKindsGetTheState) {
  spec_.root->readonly = false;
  spec_.annotations["key"] = "value";
  spec_.hooks.prestart = {KeepState(Kept("prestart"))};
  spec_.hooks.create_runtime = {KeepState(Kept("createRuntime"))};
  spec_.hooks.create_container = {KeepState(Kept("createContainer"))};
  spec_.hooks.start_container = {KeepState("/tmp/startContainer")};
  spec_.hooks.poststart = {KeepState(Kept("poststart"))};
  spec_.hooks.poststop = {KeepState(Kept("poststop"))};
  const auto state = Create();
  ASSERT_TRUE(state.has_value()) << state.error().message;
  const auto started = Start();
  ASSERT_TRUE(started.has_value()) << started.error().message;
  ASSERT_TRUE(Delete(runtime_, id_, true).has_value());
  const std::vector<std::tuple<std::string, std::string, pid_t>> expected = {
      {"prestart", "created", state->pid},  {"createRuntime", "creating", state->pid},
      {"createContainer", "creating", 1},   {"startContainer", "created", 1},
      {"poststart", "running", state->pid},
  };
  for (const auto& [kind, status, pid] : expected) {
    const Json seen = StateIn(Kept(kind));
    EXPECT_EQ(seen.value("status", ""), status) << kind;
    EXPECT_EQ(seen.value("pid", 0), pid) << kind;
    EXPECT_EQ(seen.value("id", ""), id_) << kind;
    EXPECT_EQ(seen.value("bundle", ""), temp_.path()) << kind;
    EXPECT_EQ(seen.value("/annotations/key"_json_pointer, ""), "value") << kind;
  }
  EXPECT_EQ(StateIn(Kept("poststop")).value("status", ""), "stopped");
}

TEST_F(HooksTest, AFailureEndsTheContainer) {
  for (auto* kind :
       {&spec_.hooks.prestart, &spec_.hooks.create_runtime, &spec_.hooks.create_container}) {
    *kind = {Shell("exit 1")};
    const auto state = Create();
    ASSERT_FALSE(state.has_value());
    EXPECT_NE(state.error().message.find("hook 0 (/bin/sh): exit status 1"), std::string::npos)
        << state.error().message;
    ExpectNothingLeft();
    kind->clear();
  }
}

TEST_F(HooksTest, AFailureAtStartEndsTheContainer) {
  for (auto* kind : {&spec_.hooks.start_container, &spec_.hooks.poststart}) {
    *kind = {Shell("exit 1")};
    const auto state = Create();
    ASSERT_TRUE(state.has_value()) << state.error().message;
    EXPECT_FALSE(Start().has_value());
    EXPECT_NE(sys::WaitExit(state->pid).value(), 0);
    EXPECT_TRUE(Delete(runtime_, id_).has_value());
    kind->clear();
  }
}

TEST_F(HooksTest, AFailingPoststopIsAWarning) {
  std::vector<std::string> warnings;
  runtime_.warn = [&](const std::string& text) { warnings.push_back(text); };
  spec_.hooks.poststop = {Shell("exit 1"), KeepState(Kept("second"))};
  ASSERT_TRUE(Create().has_value());
  warnings.clear();
  EXPECT_TRUE(Delete(runtime_, id_).has_value());
  EXPECT_EQ(warnings.size(), 1U);
  EXPECT_TRUE(std::filesystem::exists(Kept("second")));
}

}  // namespace
}  // namespace coracle::runtime
