// A real cgroup of one test, below the cgroup2 mount of this host; removed with all in it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cgroup_manager.h"
#include "coracle/base/id.h"
#include "coracle/sys/namespaces.h"

namespace coracle::runtime {

class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    const Result<CgroupHost> host = ReadCgroupHost();
    if (!host.has_value()) GTEST_SKIP() << host.error().message;
    if (::geteuid() != 0) GTEST_SKIP() << "needs root to make cgroups";
    host_ = *host;
    spec_.linux_.cgroups_path = "/coracle-test-" + RandomHex(6) + "/demo";
    top_ = host_.mount + spec_.linux_.cgroups_path.substr(0, spec_.linux_.cgroups_path.rfind('/'));
  }
  void TearDown() override {
    if (top_.empty()) return;
    (void)SignalCgroup(top_, SIGKILL);
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
    EXPECT_TRUE(RemoveCgroup(top_).has_value());
  }

  [[nodiscard]] bool Has(const std::string& controller) const {
    return std::ranges::find(host_.controllers, controller) != host_.controllers.end();
  }

  Result<Cgroup> Make() {
    const CgroupPlan plan = TRY(PlanCgroup(host_, spec_, "demo", false));
    Cgroup cgroup = TRY(MakeCgroup(plan));
    TRY(ApplyLimits(cgroup.directory.get(), plan.limits));
    TRY(ApplyLimits(cgroup.directory.get(), plan.last_limits));
    return cgroup;
  }

  // A process in the cgroup that runs `body` and exits with what it returns.
  template <class Body>
  pid_t Spawn(const Cgroup& cgroup, Body body) {
    const Result<pid_t> pid = sys::clone3({.cgroup_fd = cgroup.directory.get()});
    if (pid.has_value() && *pid == 0) ::_exit(body());
    if (pid.has_value()) children_.push_back(*pid);
    return pid.value_or(-1);
  }
  pid_t SpawnSleeper(const Cgroup& cgroup) {
    return Spawn(cgroup, [] { return ::pause(); });
  }
  int Wait(pid_t pid) {
    std::erase(children_, pid);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return status;
  }

  CgroupHost host_;
  oci::Spec spec_;
  std::string top_;
  std::vector<pid_t> children_;
};

}  // namespace coracle::runtime
