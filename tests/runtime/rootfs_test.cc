#include "rootfs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>

#include "child.h"
#include "coracle/sys/mount.h"
#include "coracle/sys/mountinfo.h"

namespace coracle::runtime {
namespace {

using test::Bundle;
using test::InChild;
using test::ReadText;

oci::Spec SpecWithRoot(const std::string& path, const std::string& propagation = "") {
  oci::Spec spec;
  spec.root = oci::Root{.path = path, .readonly = false};
  spec.linux_.namespaces = {{.type = "mount", .path = ""}};
  spec.linux_.rootfs_propagation = propagation;
  return spec;
}

// Everything from clone on, as create does it.
std::string Enter(const RootfsPlan& plan, int root_fd) {
  MUST_WORK(IsolateMounts(plan));
  MUST_WORK(AttachRoot(plan, root_fd));
  MUST_WORK(PivotRoot(plan, root_fd));
  MUST_WORK(SealRoot(plan, root_fd));
  MUST_WORK(VerifyRoot(root_fd));
  MUST(ReadText("/etc/marker") == "container");
  return "";
}

TEST(Rootfs, RelativePathIsRelativeToTheBundle) {
  const auto plan = PlanRootfs(SpecWithRoot("./rootfs/"), "/bundle");
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->path, "/bundle/rootfs");
  EXPECT_EQ(PlanRootfs(SpecWithRoot("/abs/root"), "/bundle")->path, "/abs/root");
}

TEST(Rootfs, BadValuesNameTheirPlace) {
  EXPECT_EQ(PlanRootfs(oci::Spec{}, "/b").error().message, "/root/path: required, but missing");
  const auto bad = PlanRootfs(SpecWithRoot("r", "sharde"), "/b");
  ASSERT_FALSE(bad.has_value());
  EXPECT_NE(bad.error().message.find("/linux/rootfsPropagation"), std::string::npos);
  oci::Spec without = SpecWithRoot("r");
  without.linux_.namespaces.clear();
  EXPECT_TRUE(PlanRootfs(without, "/b")->detached);
  without.linux_.namespaces = {{"mount", "/proc/self/ns/mnt"}};
  EXPECT_TRUE(PlanRootfs(without, "/b")->detached);
  without.linux_.namespaces = {{"mount", ""}};
  EXPECT_FALSE(PlanRootfs(without, "/b")->detached);
  without.linux_.namespaces = {{"user", ""}};
  EXPECT_EQ(PlanRootfs(without, "/b").error().code, Code::kUnsupported);
}

TEST(Rootfs, BecomesTheRootAndTheOldOneIsGone) {
  const Bundle bundle;
  const auto plan = PlanRootfs(SpecWithRoot("rootfs"), bundle.path());
  const auto root = CloneRoot(*plan);
  ASSERT_TRUE(root.has_value()) << root.error().message;
  EXPECT_EQ(InChild(CLONE_NEWNS,
                    [&]() -> std::string {
                      const std::string entered = Enter(*plan, root->get());
                      if (!entered.empty()) return entered;
                      MUST(::access("/proc/self", F_OK) != 0);
                      MUST(::access("/../usr", F_OK) != 0);
                      return "";
                    }),
            "");
}

TEST(Rootfs, ReadonlyIsTheLastThing) {
  const Bundle bundle;
  auto plan = PlanRootfs(SpecWithRoot("rootfs"), bundle.path());
  plan->readonly = true;
  const auto root = CloneRoot(*plan);
  EXPECT_EQ(InChild(CLONE_NEWNS,
                    [&]() -> std::string {
                      const std::string entered = Enter(*plan, root->get());
                      if (!entered.empty()) return entered;
                      MUST(::open("/etc/new", O_WRONLY | O_CREAT, 0600) < 0 && errno == EROFS);
                      return "";
                    }),
            "");
}

TEST(Rootfs, SharedPropagationDoesNotReachTheHostsTree) {
  const Bundle bundle;
  // The outer child plays the host, with a shared tree.
  EXPECT_EQ(InChild(CLONE_NEWNS,
                    [&]() -> std::string {
                      MUST(::mount(nullptr, "/", nullptr, MS_SHARED | MS_REC, nullptr) == 0);
                      const auto plan = PlanRootfs(SpecWithRoot("rootfs", "shared"), bundle.path());
                      MUST_WORK(plan);
                      const auto root = CloneRoot(*plan);
                      MUST_WORK(root);
                      const std::size_t before = sys::ReadMountInfo()->size();
                      const std::string inner = InChild(CLONE_NEWNS, [&]() -> std::string {
                        const std::string entered = Enter(*plan, root->get());
                        if (!entered.empty()) return entered;
                        MUST(::mount("tmpfs", "/data", "tmpfs", 0, nullptr) == 0);
                        MUST(::mount("proc", "/proc", "proc", 0, nullptr) == 0);
                        const auto mounts = sys::ReadMountInfo();
                        const auto slash =
                            std::ranges::find(*mounts, "/", &sys::MountInfo::mount_point);
                        MUST(!slash->optional.empty() && slash->optional[0].starts_with("shared:"));
                        return "";
                      });
                      if (!inner.empty()) return inner;
                      MUST(sys::ReadMountInfo()->size() == before);
                      return "";
                    }),
            "");
}

TEST(Rootfs, WorksInAUserNamespaceThatMayNotReachIt) {
  const Bundle bundle;  // its directory is 0700 and belongs to the host's root
  const auto plan = PlanRootfs(SpecWithRoot("rootfs"), bundle.path());
  const auto root = CloneRoot(*plan);
  EXPECT_EQ(InChild(CLONE_NEWUSER | CLONE_NEWNS,
                    [&]() -> std::string { return Enter(*plan, root->get()); }),
            "");
}

TEST(Rootfs, MovesWherePivotIsNotPossible) {
  const Bundle bundle;
  const auto plan = PlanRootfs(SpecWithRoot("rootfs"), bundle.path());
  const auto root = CloneRoot(*plan);
  EXPECT_EQ(InChild(CLONE_NEWNS,
                    [&]() -> std::string {
                      MUST_WORK(IsolateMounts(*plan));
                      MUST_WORK(AttachRoot(*plan, root->get()));
                      MUST_WORK(MoveRoot(*plan, root->get()));
                      MUST_WORK(VerifyRoot(root->get()));
                      MUST(ReadText("/etc/marker") == "container");
                      return "";
                    }),
            "");
}

TEST(Rootfs, AnotherRootIsNoticed) {
  const Bundle bundle;
  const auto plan = PlanRootfs(SpecWithRoot("rootfs"), bundle.path());
  const auto root = CloneRoot(*plan);
  EXPECT_FALSE(VerifyRoot(root->get()).has_value());
}

}  // namespace
}  // namespace coracle::runtime
