#include "procfs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "child.h"

namespace coracle::runtime {
namespace {

using test::InChild;
using test::ReadText;

TEST(Procfs, WritesDespiteMountsOverProc) {
  EXPECT_EQ(InChild(CLONE_NEWNS | CLONE_NEWPID,
                    []() -> std::string {
                      MUST(::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0);
                      const auto proc = OpenProc(ProcPart::kAll);
                      MUST_WORK(proc);
                      MUST(::mount("tmpfs", "/proc", "tmpfs", 0, nullptr) == 0);
                      MUST_WORK(WriteProc(proc->get(), "self/oom_score_adj", "1000"));
                      MUST(::umount2("/proc", MNT_DETACH) == 0);
                      MUST(ReadText("/proc/self/oom_score_adj") == "1000\n");
                      return "";
                    }),
            "");
}

TEST(Procfs, WithoutSettingsIsEnoughForALabel) {
  EXPECT_EQ(InChild(CLONE_NEWNS | CLONE_NEWPID,
                    []() -> std::string {
                      const auto proc = OpenProc(ProcPart::kProcesses);
                      MUST_WORK(proc);
                      MUST_WORK(WriteProc(proc->get(), "thread-self/oom_score_adj", "1000"));
                      const auto setting = WriteProc(proc->get(), "sys/kernel/shmmni", "4096");
                      MUST(!setting.has_value() && setting.error().errnum == ENOENT);
                      return "";
                    }),
            "");
}

TEST(Procfs, NeitherMountsNorMagicLinksAreFollowed) {
  EXPECT_EQ(InChild(CLONE_NEWNS | CLONE_NEWPID,
                    []() -> std::string {
                      MUST(::mount(nullptr, "/", nullptr, MS_PRIVATE | MS_REC, nullptr) == 0);
                      const UniqueFd proc(::open("/proc", O_PATH));
                      MUST(::mount("tmpfs", "/proc/sys", "tmpfs", 0, nullptr) == 0);
                      const auto mounted = WriteProc(proc.get(), "sys/x", "1");
                      MUST(!mounted.has_value() && mounted.error().errnum == EXDEV);
                      const auto magic = WriteProc(proc.get(), "self/fd/1", "1");
                      MUST(!magic.has_value() && magic.error().errnum == ELOOP);
                      return "";
                    }),
            "");
}

TEST(Procfs, UserNamespaceWithoutPidNamespaceUsesTheHosts) {
  EXPECT_EQ(InChild(CLONE_NEWUSER | CLONE_NEWNS,
                    []() -> std::string {
                      MUST_WORK(OpenProc(ProcPart::kAll));
                      return "";
                    }),
            "");
}

}  // namespace
}  // namespace coracle::runtime
