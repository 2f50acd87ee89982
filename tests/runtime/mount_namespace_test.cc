// Whether the host's mounts are in the namespace of a container process while it prepares itself.
#include "mount_namespace.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>

#include "child.h"
#include "container_fixture.h"
#include "coracle/sys/mount.h"
#include "coracle/sys/mountinfo.h"

namespace coracle::runtime {
namespace {

constexpr char kBeforePivot[] = "pivot-root";

// All of our namespace, whatever our own root is.
void WriteMounts(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const UniqueFd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd own(::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  if (!sys::setns(own.get(), CLONE_NEWNS).has_value()) return;
  const UniqueFd mounts(::openat(proc.get(), "self/mountinfo", O_RDONLY | O_CLOEXEC));
  (void)WriteAll(file.get(), ReadFd(mounts.get(), "mountinfo").value_or(""), path);
}

class MountNamespace : public test::ContainerTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if (!OpenKernelMountNamespace(temp_.path())) GTEST_SKIP() << "there is no kdevtmpfs to be seen";
    std::filesystem::create_directory(host_);
    const Status mounted = sys::mount(
        {.source = "tmpfs", .target = host_, .fstype = "tmpfs", .flags = 0, .data = "size=4k"});
    ASSERT_TRUE(mounted.has_value()) << mounted.error().message;
    ContainerTest::SetUp();
  }
  void TearDown() override {
    ContainerTest::TearDown();
    ::umount2(host_.c_str(), MNT_DETACH);
  }

  // The container is not made: it ends where its mounts have been looked at.
  std::vector<std::string> MountsBeforePivot() {
    const std::string found = temp_.path() + "/found";
    runtime_.observer.fault = [found](std::string_view step) {
      if (step == kBeforePivot) WriteMounts(found);
      return step == kBeforePivot;
    };
    const auto state = Create();
    EXPECT_FALSE(state.has_value());
    if (state.has_value()) return {};
    EXPECT_EQ(state.error().step, kBeforePivot) << state.error().message;
    std::vector<std::string> places;
    const auto mounts = sys::ReadMountInfo(found);
    if (!mounts.has_value()) return places;
    for (const sys::MountInfo& mount : *mounts) places.push_back(mount.mount_point);
    return places;
  }
  bool HasHostMounts() {
    const std::vector<std::string> places = MountsBeforePivot();
    EXPECT_NE(
        std::ranges::find_if(places, [](const auto& place) { return place.ends_with("/usr"); }),
        places.end())
        << "the container's own are missing";
    return std::ranges::find(places, host_) != places.end();
  }

  std::string host_ = temp_.path() + "/host";
};

TEST_F(MountNamespace, HasNothingOfTheHost) { EXPECT_FALSE(HasHostMounts()); }

TEST_F(MountNamespace, HasItForHooks) {
  oci::Hook hook;
  hook.path = "/bin/true";
  spec_.hooks.prestart = {hook};
  EXPECT_TRUE(HasHostMounts());
  spec_.hooks = {};
  spec_.hooks.create_runtime = {hook};
  EXPECT_TRUE(HasHostMounts());
  spec_.hooks = {};
  spec_.hooks.create_container = {hook};
  EXPECT_TRUE(HasHostMounts());
  spec_.hooks = {};
  spec_.hooks.start_container = {hook};
  EXPECT_FALSE(HasHostMounts());
}

TEST_F(MountNamespace, HasItForASharedRoot) {
  spec_.linux_.rootfs_propagation = "rslave";
  EXPECT_FALSE(HasHostMounts());
  spec_.linux_.rootfs_propagation = "rshared";
  EXPECT_TRUE(HasHostMounts());
}

TEST_F(MountNamespace, HasItForAMountThatIsMadeInItsPlace) {
  oci::Mount tmpfs;
  tmpfs.destination = "/tmp";
  tmpfs.type = tmpfs.source = "tmpfs";
  tmpfs.options = {"mode=700"};
  spec_.mounts.push_back(tmpfs);
  EXPECT_FALSE(HasHostMounts());
  spec_.mounts.back().options = {};  // that of the directory
  EXPECT_TRUE(HasHostMounts());
  spec_.mounts.back().options = {"mode=700", "size=" + std::string(300, '0') + "64k"};
  EXPECT_TRUE(HasHostMounts());
}

TEST_F(MountNamespace, HasItForMoreMountsThanOneHoldsDescriptorsFor) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{64, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  EXPECT_FALSE(HasHostMounts());
  const oci::Mount usr = spec_.mounts.back();
  spec_.mounts.resize(80, usr);
  EXPECT_TRUE(HasHostMounts());
  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(MountNamespace, HasNothingOfTheHostBesideItsCgroup) {
  std::erase_if(spec_.linux_.namespaces, [](const auto& each) { return each.type == "cgroup"; });
  EXPECT_FALSE(HasHostMounts());
}

TEST_F(MountNamespace, HasItWithoutPivotRoot) {
  WriteConfig();
  runtime_.observer.fault = [this](std::string_view step) {
    if (step == kBeforePivot) WriteMounts(temp_.path() + "/found");
    return step == kBeforePivot;
  };
  CreateOptions options;
  options.id = id_;
  options.bundle = temp_.path();
  options.no_pivot = true;
  EXPECT_FALSE(runtime::Create(runtime_, options).has_value());
  EXPECT_NE(ReadFile(temp_.path() + "/found").value_or("").find(host_), std::string::npos);
}

TEST(KernelMountNamespace, IsFoundOnceAndKept) {
  const test::TempDir directory;
  const UniqueFd found = OpenKernelMountNamespace(directory.path());
  if (!found) GTEST_SKIP() << "there is no kdevtmpfs to be seen";
  const std::string kept = ReadFile(directory.path() + "/@kdevtmpfs").value_or("");
  EXPECT_EQ(ReadFile("/proc/" + kept + "/comm").value_or(""), "kdevtmpfs\n");
}

// What the file says is believed of a kernel's thread only.
TEST(KernelMountNamespace, IsNotThatOfAProcessWithTheName) {
  const test::TempDir directory;
  const UniqueFd found = OpenKernelMountNamespace(directory.path());
  if (!found) GTEST_SKIP() << "there is no kdevtmpfs to be seen";
  const std::string kept = ReadFile(directory.path() + "/@kdevtmpfs").value_or("");
  EXPECT_EQ(
      test::InChild(CLONE_NEWNS,
                    [&]() -> std::string {
                      MUST(::prctl(PR_SET_NAME, "kdevtmpfs") == 0);
                      MUST_WORK(WriteFileAtomically(directory.path() + "/@kdevtmpfs",
                                                    std::to_string(::getpid()), 0600));
                      struct stat true_one {
                      }, answer{};
                      MUST(::fstat(found.get(), &true_one) == 0);
                      MUST(::fstat(OpenKernelMountNamespace(directory.path()).get(), &answer) == 0);
                      MUST(answer.st_ino == true_one.st_ino);
                      MUST(ReadFile(directory.path() + "/@kdevtmpfs").value_or("") == kept);
                      return "";
                    }),
      "");
}

TEST(KernelMountNamespace, IsNotSeenFromInside) {
  const test::TempDir directory;
  EXPECT_EQ(test::InChild(CLONE_NEWPID | CLONE_NEWNS,
                          [&]() -> std::string {
                            MUST(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
                            MUST(::mount("proc", "/proc", "proc", 0, nullptr) == 0);
                            MUST(!OpenKernelMountNamespace(directory.path()));
                            return "";
                          }),
            "");
}

}  // namespace
}  // namespace coracle::runtime
