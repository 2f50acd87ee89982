#include "executable.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "child.h"
#include "coracle/sys/path.h"

namespace coracle::runtime {
namespace {

using test::Bundle;
using test::InChild;

std::string Home(const Bundle& bundle, uid_t uid, std::vector<std::string> env = {}) {
  const auto root = sys::OpenRoot(bundle.root());
  ProcessPlan plan;
  plan.uid = uid;
  plan.env = std::move(env);
  EXPECT_TRUE(FillHome(plan, root->get()).has_value());
  return plan.env.back();
}

TEST(Executable, HomeComesFromTheContainersPasswd) {
  const Bundle bundle;
  bundle.Write("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nbad\nweb:x:33:33::/srv/web:\n:::\n");
  EXPECT_EQ(Home(bundle, 0), "HOME=/root");
  EXPECT_EQ(Home(bundle, 33), "HOME=/srv/web");
  EXPECT_EQ(Home(bundle, 34), "HOME=/");
  EXPECT_EQ(Home(bundle, 33, {"HOME=/mine"}), "HOME=/mine");
  EXPECT_EQ(Home(bundle, 33, {"HOME="}), "HOME=/srv/web");
}

TEST(Executable, AnythingElseThanAFileIsNoPasswd) {
  const Bundle bundle;
  ::mkfifo((bundle.root() + "/etc/passwd").c_str(), 0600);
  EXPECT_EQ(Home(bundle, 0), "HOME=/");
}

TEST(Executable, WorkingDirectoryIsMadeAndEntered) {
  const Bundle bundle;
  const auto root = sys::OpenRoot(bundle.root());
  ProcessPlan plan;
  plan.cwd = "/new/work";
  EXPECT_TRUE(MakeWorkingDirectory(plan, root->get()).has_value());
  EXPECT_TRUE(std::filesystem::is_directory(bundle.root() + "/new/work"));
  plan.cwd = "/etc/marker";
  EXPECT_FALSE(MakeWorkingDirectory(plan, root->get()).has_value());
}

TEST(Executable, WorkingDirectoryOutsideTheRootIsRefused) {
  const Bundle bundle;
  const std::string message = InChild(CLONE_NEWNS, [&]() -> std::string {
    const int outside = ::open("/", O_PATH | O_CLOEXEC);
    MUST(::chroot(bundle.root().c_str()) == 0 && ::chdir("/") == 0);
    MUST(::mkdir("/proc/self", 0755) == 0 && ::mkdir("/proc/self/fd", 0755) == 0);
    MUST(::fchdir(outside) == 0);
    ProcessPlan plan;
    plan.cwd = ".";
    const Status status = EnterWorkingDirectory(plan);
    return status.has_value() ? "entered" : status.error().message;
  });
  EXPECT_NE(message.find("outside of the container's root"), std::string::npos) << message;
}

std::string Find(std::vector<std::string> args, std::vector<std::string> env) {
  ProcessPlan plan;
  plan.args = std::move(args);
  plan.env = std::move(env);
  const auto found = FindExecutable(plan);
  return found.has_value() ? *found : found.error().message;
}

TEST(Executable, IsLookedUpAsExecvpDoes) {
  const Bundle bundle;
  bundle.Write("/data/tool", "#!/bin/sh\n");
  bundle.Write("/tmp/tool", "not executable");
  ::chmod((bundle.root() + "/data/tool").c_str(), 0755);
  ::chmod((bundle.root() + "/tmp/tool").c_str(), 0644);
  EXPECT_EQ(
      InChild(CLONE_NEWNS,
              [&]() -> std::string {
                MUST(::chroot(bundle.root().c_str()) == 0 && ::chdir("/data") == 0);
                MUST(Find({"tool"}, {"PATH=/tmp:/missing:/data"}) == "/data/tool");
                MUST(Find({"tool"}, {"PATH=/tmp"}) ==
                     "exec: \"tool\": executable file not found in $PATH");
                MUST(Find({"tool"}, {}) == "exec: \"tool\": executable file not found in $PATH");
                MUST(Find({""}, {"PATH=/data"}) ==
                     "exec: \"\": executable file not found in $PATH");
                MUST(Find({"./tool"}, {}) == "./tool");
                MUST(Find({"/missing"}, {}) ==
                     "exec: \"/missing\": stat /missing: no such file or directory");
                MUST(Find({"/tmp/tool"}, {}) == "exec: \"/tmp/tool\": permission denied");
                MUST(Find({"/data"}, {}) == "exec: \"/data\": is a directory");
                return "";
              }),
      "");
}

}  // namespace
}  // namespace coracle::runtime
