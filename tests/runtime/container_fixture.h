// A bundle that runs the host's own programs, and what must be as before when its container is
// gone.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/base/json.h"
#include "coracle/oci/spec.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/runtime/container.h"
#include "coracle/sys/process.h"
#include "support/temp_dir.h"

namespace coracle::test {

class ContainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const auto mount = runtime::CgroupMount();
    if (!mount.has_value()) GTEST_SKIP() << "needs a cgroup2 file system";
    cgroup_ = *mount + "/" + id_;
    runtime_.root = temp_.path() + "/state";
    namespace fs = std::filesystem;
    for (const char* name : {"proc", "sys", "dev", "usr", "etc", "tmp"})
      fs::create_directories(temp_.path() + "/rootfs/" + name);
    for (const char* name : {"bin", "lib", "lib64", "sbin"})
      fs::create_symlink(std::string("usr/") + name, temp_.path() + "/rootfs/" + name);
    spec_ = oci::ExampleSpec();
    spec_.root->path = "rootfs";
    spec_.process->terminal = false;
    spec_.process->args = {"/bin/sleep", "1000"};
    spec_.linux_.cgroups_path = "/" + id_;
    oci::Mount usr;
    usr.destination = "/usr";
    usr.source = "/usr";
    usr.options = {"rbind", "ro"};
    spec_.mounts.push_back(usr);
    fds_before_ = OpenFds();
    mounts_before_ = ReadFile("/proc/self/mountinfo").value();
  }

  void TearDown() override {
    if (cgroup_.empty()) return;
    EXPECT_TRUE(runtime::Delete({.root = runtime_.root}, id_, true).has_value());
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    ExpectNothingLeft();
  }

  void ExpectNothingLeft() const {
    namespace fs = std::filesystem;
    EXPECT_FALSE(fs::exists(runtime_.root + "/" + id_)) << "the state is left";
    EXPECT_FALSE(fs::exists(cgroup_)) << "the cgroup is left";
    EXPECT_EQ(OpenFds(), fds_before_) << "a descriptor is left";
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
    EXPECT_EQ(ReadFile("/proc/self/mountinfo").value(), mounts_before_) << "a mount is left";
  }

  void WriteConfig() const {
    std::ofstream(temp_.path() + "/config.json") << PrintJson(oci::ToJson(spec_));
  }
  Result<oci::State> Create() {
    WriteConfig();
    runtime::CreateOptions options;
    options.id = id_;
    options.bundle = temp_.path();
    options.pid_file = temp_.path() + "/pid";
    return runtime::Create(runtime_, options);
  }
  Status Start() { return runtime::Start(runtime_, id_); }
  [[nodiscard]] oci::ContainerStatus StatusNow() const {
    return runtime::State(runtime_, id_).value().status;
  }
  Result<pid_t> Exec(const std::vector<std::string>& args) {
    runtime::ExecOptions options;
    options.id = id_;
    options.process = *spec_.process;
    options.process.args = args;
    return runtime::Exec(runtime_, options);
  }
  // Of the program that the container ends with.
  int StartAndWait(const std::vector<std::string>& args) {
    spec_.process->args = args;
    const auto state = Create();
    EXPECT_TRUE(state.has_value()) << state.error().message;
    if (!state.has_value()) return -1;
    const auto started = Start();
    EXPECT_TRUE(started.has_value()) << started.error().message;
    return sys::WaitExit(state->pid).value_or(-1);
  }

  static std::ptrdiff_t OpenFds() {
    namespace fs = std::filesystem;
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator{});
  }

  const TempDir temp_;
  const std::string id_ = "coracle-test-" + RandomHex(6);
  std::string cgroup_;
  runtime::Runtime runtime_;
  oci::Spec spec_;
  std::ptrdiff_t fds_before_ = 0;
  std::string mounts_before_;
};

template <class Steps>
void AppendNames(const Steps& steps, std::vector<std::string>& names) {
  for (const auto& step : steps) names.emplace_back(step.name);
}

// "make-cgroup" as gtest wants it.
inline std::string TestName(const ::testing::TestParamInfo<std::string>& each) {
  std::string name = each.param;
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
}

}  // namespace coracle::test
