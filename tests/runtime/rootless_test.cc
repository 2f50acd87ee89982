// Fails each step of a user's container in turn: the error names it, nothing is left.
#include "rootless.h"

#include <grp.h>
#include <sys/prctl.h>

#include "child.h"
#include "container_fixture.h"
#include "create.h"

namespace coracle::runtime {
namespace {

constexpr uid_t kUser = 61235;

std::vector<std::string> Steps() {
  std::vector<std::string> names;
  test::AppendNames(CreateSteps(), names);
  test::AppendNames(ContainerSteps(), names);
  return names;
}

class UserContainer : public test::ContainerTest {
 protected:
  void SetUp() override {
    ContainerTest::SetUp();
    spec_.linux_.namespaces.push_back({"user", ""});
    spec_.linux_.uid_mappings = spec_.linux_.gid_mappings = {{0, kUser, 1}};
    spec_.linux_.cgroups_path.clear();
    spec_.linux_.resources = {};
    for (oci::Mount& mount : spec_.mounts) std::erase(mount.options, "gid=5");
    namespace fs = std::filesystem;
    ASSERT_EQ(::chown(temp_.path().c_str(), kUser, kUser), 0);
    for (const auto& entry : fs::recursive_directory_iterator(temp_.path()))
      ASSERT_EQ(::lchown(entry.path().c_str(), kUser, kUser), 0);
  }

  // What of `body` did not hold, as the user.
  static std::string AsUser(const std::function<std::string()>& body) {
    return test::InChild(0, [&]() -> std::string {
      MUST(::setgroups(0, nullptr) == 0);
      MUST(::setresgid(kUser, kUser, kUser) == 0);
      MUST(::setresuid(kUser, kUser, kUser) == 0);
      MUST(::prctl(PR_SET_DUMPABLE, 1) == 0);  // as after the execve(2) of a user's program
      return body();
    });
  }
};

class FailedUserCreation : public UserContainer,
                           public ::testing::WithParamInterface<std::string> {};

TEST_P(FailedUserCreation, IsNamedAndLeavesNothing) {
  runtime_.observer.fault = [](std::string_view step) { return step == GetParam(); };
  EXPECT_EQ(AsUser([&]() -> std::string {
              const std::ptrdiff_t fds = OpenFds();
              const auto state = Create();
              MUST(!state.has_value());
              if (state.error().step != GetParam()) return state.error().message;
              MUST(state.error().errnum == EIO);
              MUST(OpenFds() == fds);
              MUST(::waitpid(-1, nullptr, WNOHANG) == -1);
              return "";
            }),
            "");
  EXPECT_FALSE(std::filesystem::exists(runtime_.root + "/" + id_));
  EXPECT_FALSE(std::filesystem::exists(temp_.path() + "/pid"));
}

INSTANTIATE_TEST_SUITE_P(At, FailedUserCreation, ::testing::ValuesIn(Steps()), test::TestName);

TEST_F(UserContainer, GoesThroughItsLife) {
  EXPECT_EQ(AsUser([&]() -> std::string {
              const auto state = Create();
              MUST_WORK(state);
              MUST_WORK(Start());
              MUST(StatusNow() == oci::ContainerStatus::kRunning);
              MUST(CgroupPath(runtime_, id_).value_or("?").empty());
              MUST(Pause(runtime_, id_).error().code == Code::kUnsupported);
              MUST(Pids(runtime_, id_).value() == std::vector<pid_t>{state->pid});
              const auto second = Exec({"/bin/sleep", "1000"});
              MUST_WORK(second);
              MUST(Pids(runtime_, id_).value().size() == 2);
              MUST_WORK(Kill(runtime_, id_, SIGKILL, true));
              // The first one ends when nobody else is in its PID namespace.
              MUST(sys::WaitExit(*second).value_or(-1) == 128 + SIGKILL);
              MUST(sys::WaitExit(state->pid).value_or(-1) == 128 + SIGKILL);
              MUST_WORK(Delete(runtime_, id_));
              return "";
            }),
            "");
}

TEST_F(UserContainer, IsNotRunWithoutAUserNamespace) {
  spec_.linux_.namespaces.pop_back();
  spec_.linux_.uid_mappings = spec_.linux_.gid_mappings = {};
  EXPECT_EQ(AsUser([&]() -> std::string {
              const auto state = Create();
              MUST(!state.has_value());
              MUST(state.error().message.find("/linux/namespaces") != std::string::npos);
              return "";
            }),
            "");
}

TEST(Rootless, OptionDecidesBeforeTheCaller) {
  EXPECT_TRUE(IsRootless({.rootless = Rootless::kYes}));
  EXPECT_FALSE(IsRootless({.rootless = Rootless::kNo}));
  EXPECT_EQ(IsRootless({}), ::geteuid() != 0 || InUserNamespace());
}

TEST(Rootless, RootOfAUserNamespaceIsNotRoot) {
  EXPECT_EQ(test::InChild(CLONE_NEWUSER,
                          []() -> std::string {
                            MUST(InUserNamespace());
                            MUST(IsRootless({}));
                            return "";
                          }),
            "");
}

TEST(Rootless, DefaultRootIsTheUsers) {
  EXPECT_EQ(test::InChild(0,
                          []() -> std::string {
                            ::setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
                            ::setenv("USER", "somebody", 1);
                            MUST(InUserNamespace() ||
                                 DefaultRoot(Rootless::kAuto) == "/run/coracle/runtime");
                            MUST(DefaultRoot(Rootless::kYes) == "/run/user/7/coracle");
                            MUST(DefaultRoot(Rootless::kNo) == "/run/coracle/runtime");
                            MUST(::setresuid(kUser, kUser, kUser) == 0);
                            MUST(DefaultRoot(Rootless::kAuto) == "/run/user/7/coracle");
                            ::unsetenv("XDG_RUNTIME_DIR");
                            MUST(DefaultRoot(Rootless::kAuto) ==
                                 "/run/user/" + std::to_string(kUser) + "/coracle");
                            return "";
                          }),
            "");
}

}  // namespace
}  // namespace coracle::runtime
