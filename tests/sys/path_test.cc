#include "coracle/sys/path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/temp_dir.h"

namespace coracle::sys {
namespace {

namespace fs = std::filesystem;

// A root filesystem beside a file that must stay unreachable.
class InRoot : public ::testing::Test {
 protected:
  InRoot() {
    fs::create_directories(dir_.path() + "/root/a");
    fs::create_directories(dir_.path() + "/outside");
    EXPECT_TRUE(WriteFileAtomically(dir_.path() + "/outside/secret", "host").has_value());
    EXPECT_TRUE(WriteFileAtomically(dir_.path() + "/root/a/file", "inside").has_value());
    root_ = OpenRoot(dir_.path() + "/root").value();
  }
  [[nodiscard]] std::string Host(const std::string& path) const {
    return dir_.path() + "/root/" + path;
  }
  const test::TempDir dir_;
  UniqueFd root_;
};

TEST_F(InRoot, AnAbsolutePathStartsAtTheRoot) {
  const auto fd = OpenInRoot(root_.get(), "/a/file", O_RDONLY);
  ASSERT_TRUE(fd.has_value()) << fd.error().message;
  EXPECT_EQ(ReadFd(fd->get(), "file").value(), "inside");
}

TEST_F(InRoot, DotDotAndSymlinksStayInside) {
  fs::create_symlink("/outside/secret", Host("absolute"));
  fs::create_symlink("../../outside/secret", Host("a/relative"));
  for (const char* path :
       {"absolute", "a/relative", "../outside/secret", "/a/../../outside/secret"})
    EXPECT_EQ(OpenInRoot(root_.get(), path, O_RDONLY).error().code, Code::kNotFound) << path;
}

TEST_F(InRoot, MagicLinksAreNotFollowed) {
  const UniqueFd host = OpenRoot("/").value();
  EXPECT_EQ(OpenInRoot(host.get(), "/proc/self/root/etc", O_RDONLY).error().errnum, ELOOP);
}

TEST_F(InRoot, CreatesDirectoriesThroughASymlinkInside) {
  fs::create_symlink("/a", Host("link"));
  const auto made = MakeDirectoryInRoot(root_.get(), "/link/b/c");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_TRUE(fs::is_directory(Host("a/b/c")));
  EXPECT_TRUE(MakeDirectoryInRoot(root_.get(), "/link/b/c").has_value()) << "again";
}

TEST_F(InRoot, MakesWhatADanglingLinkNames) {
  fs::create_symlink("../run/resolve/stub.conf", Host("a/resolv.conf"));
  fs::create_symlink("/outside", Host("absolute"));
  fs::create_symlink("absolute/deeper", Host("chain"));
  ASSERT_TRUE(MakeFileInRoot(root_.get(), "/a/resolv.conf").has_value());
  EXPECT_TRUE(fs::is_regular_file(Host("run/resolve/stub.conf")));
  ASSERT_TRUE(MakeDirectoryInRoot(root_.get(), "/chain/below").has_value());
  EXPECT_TRUE(fs::is_directory(Host("outside/deeper/below")));
  EXPECT_FALSE(fs::exists(dir_.path() + "/outside/deeper"));
  fs::create_symlink("b", Host("loop"));
  fs::create_symlink("loop", Host("b"));
  EXPECT_EQ(MakeFileInRoot(root_.get(), "/loop").error().errnum, ELOOP);
}

TEST_F(InRoot, NeverCreatesOutside) {
  fs::create_symlink("../../outside", Host("escape"));
  EXPECT_TRUE(MakeFileInRoot(root_.get(), "/escape/new").has_value());
  EXPECT_TRUE(MakeDirectoryInRoot(root_.get(), "/escape/dir/new").has_value());
  EXPECT_TRUE(fs::exists(Host("outside/new")) && fs::exists(Host("outside/dir/new")));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path() + "/outside"), {}), 1);
}

TEST_F(InRoot, MakesAFileWithItsParents) {
  const auto made = MakeFileInRoot(root_.get(), "x/y/z");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_TRUE(fs::is_regular_file(Host("x/y/z")));
  EXPECT_TRUE(MakeFileInRoot(root_.get(), "x/y/z").has_value()) << "again";
}

TEST_F(InRoot, AnotherKindOfFileIsAnError) {
  EXPECT_EQ(MakeDirectoryInRoot(root_.get(), "a/file").error().code, Code::kInvalidConfig);
  EXPECT_EQ(MakeFileInRoot(root_.get(), "a").error().code, Code::kInvalidConfig);
}

TEST_F(InRoot, ParentOfTheRootIsTheRoot) {
  EXPECT_EQ(OpenParentInRoot(root_.get(), "/", false).value().name, ".");
  const Parent parent = OpenParentInRoot(root_.get(), "/a//./file", false).value();
  EXPECT_EQ(parent.name, "file");
  EXPECT_EQ(OpenParentInRoot(root_.get(), "no/file", false).error().code, Code::kNotFound);
}

TEST_F(InRoot, ReopenGivesWhatThePathDescriptorNames) {
  const UniqueFd path = OpenInRoot(root_.get(), "a/file", O_PATH).value();
  const UniqueFd file = Reopen(path.get(), O_RDONLY).value();
  EXPECT_EQ(ReadFd(file.get(), "file").value(), "inside");
  EXPECT_NE(::fcntl(file.get(), F_GETFD) & FD_CLOEXEC, 0);
}

}  // namespace
}  // namespace coracle::sys
