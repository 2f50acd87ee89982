#include "coracle/sys/mount.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>

#include "coracle/sys/mountinfo.h"
#include "coracle/sys/path.h"
#include "support/temp_dir.h"

namespace coracle::sys {
namespace {

TEST(MountFlagNames, NamesEachFlagAndKeepsTheRest) {
  EXPECT_EQ(MountFlagNames(0), "0");
  EXPECT_EQ(MountFlagNames(MS_NOSUID | MS_NODEV), "MS_NOSUID|MS_NODEV");
  EXPECT_EQ(MountFlagNames(MS_BIND | 1UL << 40), "MS_BIND|0x10000000000");
}

TEST(Mount, AnErrorSaysWhatWasAsked) {
  const Status status = mount({.source = "tmpfs",
                               .target = "/nonexistent/target",
                               .fstype = "tmpfs",
                               .flags = MS_NOSUID,
                               .data = "mode=755"});
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message,
            "mount(2) source=tmpfs target=/nonexistent/target type=tmpfs flags=MS_NOSUID "
            "data=mode=755: ENOENT (No such file or directory)");
}

TEST(NewFilesystem, GivesADetachedMount) {
  const auto tmpfs = NewFilesystem(
      {.fstype = "tmpfs", .options = {{"mode", "0700"}}, .attributes = MOUNT_ATTR_NODEV});
  if (!tmpfs.has_value() && tmpfs.error().errnum == EPERM) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  ASSERT_TRUE(tmpfs.has_value()) << tmpfs.error().message;
  EXPECT_TRUE(MakeFileInRoot(tmpfs->get(), "file").has_value());
  ASSERT_TRUE(mount_setattr(tmpfs->get(), {.set = MOUNT_ATTR_RDONLY}).has_value());
  EXPECT_EQ(MakeFileInRoot(tmpfs->get(), "other").error().errnum, EROFS);
}

TEST(NewFilesystem, PassesOnTheKernelsOwnWords) {
  const auto bad = NewFilesystem({.fstype = "tmpfs", .options = {{"size", "many"}}});
  ASSERT_FALSE(bad.has_value());
  if (bad.error().errnum == EPERM) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  EXPECT_NE(bad.error().message.find("(tmpfs: Bad value for 'size')"), std::string::npos)
      << bad.error().message;
  EXPECT_NE(NewFilesystem({.fstype = "nonesuch"}).error().message.find("type=nonesuch"),
            std::string::npos);
}

// In its own mount namespace: 0 when a clone of `dir` shows up at its new place in mountinfo.
int MoveACloneInOwnNamespace(const std::string& dir) {
  if (::unshare(CLONE_NEWNS) != 0) return 77;
  if (!mount({.source = "none",
              .target = "/",
              .fstype = "",
              .flags = MS_REC | MS_PRIVATE,
              .data = ""})
           .has_value())
    return 2;
  const auto source = OpenRoot(dir + "/from");
  const auto target = OpenRoot(dir + "/to a");
  if (!source.has_value() || !target.has_value()) return 3;
  const auto tree = CloneTree(source->get(), true);
  if (!tree.has_value()) return 4;
  if (!mount_setattr(tree->get(), {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC}).has_value())
    return 5;
  if (!move_mount(tree->get(), target->get(), "to").has_value()) return 6;
  const auto mounts = ReadMountInfo();
  if (!mounts.has_value()) return 7;
  for (const MountInfo& mount : *mounts) {
    if (mount.mount_point != dir + "/to a") continue;
    const bool right = mount.options.starts_with("ro,") && mount.root.ends_with("/from") &&
                       mount.options.find("noexec") != std::string::npos && mount.optional.empty();
    return right ? 0 : 8;
  }
  return 9;
}

TEST(CloneTree, MovesToItsTarget) {
  const test::TempDir dir;
  ASSERT_TRUE(MakeDirectories(dir.path() + "/from").has_value());
  ASSERT_TRUE(MakeDirectories(dir.path() + "/to a").has_value());
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(MoveACloneInOwnNamespace(dir.path()));
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace coracle::sys
