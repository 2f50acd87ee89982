#include "rootfs.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "coracle/base/file.h"
#include "support/temp_dir.h"

namespace coracle::shim {
namespace {

// Runs `body` in a mount namespace of its own, with a tmpfs on `directory`; its word is the result.
std::string InNamespace(const std::string& directory, const std::function<std::string()>& body) {
  int fds[2];
  if (pipe(fds) != 0) return "pipe";
  const pid_t pid = fork();
  if (pid == 0) {
    std::string word = "no namespace";
    if (unshare(CLONE_NEWNS) == 0 &&
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        mount("tmpfs", directory.c_str(), "tmpfs", 0, nullptr) == 0)
      word = body();
    _exit(write(fds[1], word.data(), word.size()) < 0);
  }
  close(fds[1]);
  char word[4096];
  const ssize_t size = read(fds[0], word, sizeof word);
  close(fds[0]);
  waitpid(pid, nullptr, 0);
  return {word, static_cast<std::size_t>(size)};
}

std::string Text(const Status& status) { return status ? "" : status.error().message; }

bool IsMountPoint(const std::string& path) {
  return ReadFile("/proc/self/mountinfo")->find(" " + path + " ") != std::string::npos;
}

class RootfsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
  }
  test::TempDir directory_;
  std::string bundle_ = directory_.path();
};

TEST_F(RootfsTest, MountsMoreLayersThanOnePageOfOptionsHolds) {
  const auto word = InNamespace(bundle_, [&]() -> std::string {
    std::string lower = "lowerdir=";
    for (int i = 0; i < 60; ++i) {
      const std::string layer =
          bundle_ + "/" + std::string(80, 's') + "/snapshots/" + std::to_string(i) + "/fs";
      std::filesystem::create_directories(layer);
      (void)WriteFileAtomically(layer + "/file" + std::to_string(i), "");
      lower += (i == 0 ? "" : ":") + layer;
    }
    for (const char* name : {"/rootfs", "/upper", "/work"})
      std::filesystem::create_directories(bundle_ + name);
    const RootfsMount overlay{
        "overlay",
        "overlay",
        "",
        {lower, "upperdir=" + bundle_ + "/upper", "workdir=" + bundle_ + "/work"}};
    if (lower.size() < 4096) return "too short for the test";
    if (auto mounted = MountRootfs(bundle_, {overlay}); !mounted) return Text(mounted);
    for (const char* name : {"/rootfs/file0", "/rootfs/file59"}) {
      if (!std::filesystem::exists(bundle_ + name)) return std::string("missing ") + name;
    }
    if (auto gone = UnmountRootfs(bundle_); !gone) return Text(gone);
    return IsMountPoint(bundle_ + "/rootfs") ? "still mounted" : "fine";
  });
  EXPECT_EQ(word, "fine");
}

TEST_F(RootfsTest, BindsReadOnlyAndUnmountsWhatIsInUse) {
  const auto word = InNamespace(bundle_, [&]() -> std::string {
    for (const char* name : {"/rootfs", "/source"})
      std::filesystem::create_directories(bundle_ + name);
    const RootfsMount bind{"bind", bundle_ + "/source", "", {"rbind", "ro"}};
    if (auto mounted = MountRootfs(bundle_, {bind}); !mounted) return Text(mounted);
    struct statvfs status {};
    if (statvfs((bundle_ + "/rootfs").c_str(), &status) != 0) return "statvfs";
    if ((status.f_flag & ST_RDONLY) == 0) return "not read-only";
    if (chdir((bundle_ + "/rootfs").c_str()) != 0) return "chdir";
    if (auto gone = UnmountRootfs(bundle_); !gone) return Text(gone);
    if (auto gone = UnmountRootfs(bundle_); !gone) return "twice: " + Text(gone);
    return IsMountPoint(bundle_ + "/rootfs") ? "still mounted" : "fine";
  });
  EXPECT_EQ(word, "fine");
}

TEST_F(RootfsTest, MountsAllOrNothing) {
  const auto word = InNamespace(bundle_, [&]() -> std::string {
    for (const char* name : {"/rootfs", "/source"})
      std::filesystem::create_directories(bundle_ + name);
    const RootfsMount good{"bind", bundle_ + "/source", "", {"bind"}};
    const RootfsMount bad{"bind", bundle_ + "/nothing", "", {"bind"}};
    const auto mounted = MountRootfs(bundle_, {good, bad});
    if (mounted) return "mounted nothing";
    return IsMountPoint(bundle_ + "/rootfs") ? "still mounted" : Text(mounted);
  });
  EXPECT_TRUE(word.starts_with("rootfs: mount(2) ")) << word;
  EXPECT_NE(word.find("ENOENT"), std::string::npos) << word;
}

}  // namespace
}  // namespace coracle::shim
