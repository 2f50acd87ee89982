#include "coracle/base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/temp_dir.h"

namespace coracle {
namespace {

TEST(WriteFileAtomically, ReplacesTheWholeFileAndLeavesNoTemporary) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/state.json";
  ASSERT_TRUE(WriteFileAtomically(path, "first, longer").has_value());
  ASSERT_TRUE(WriteFileAtomically(path, "second", 0640, Durable::kYes).has_value());
  EXPECT_EQ(ReadFile(path).value(), "second");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0640U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

TEST(WriteFileAtomically, LeavesNothingWhereTheDirectoryIsMissing) {
  const Status status = WriteFileAtomically("/nonexistent/x", "text");
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().errnum, ENOENT);
}

TEST(ReadFile, RefusesMoreThanTheLimit) {
  const test::TempDir dir;
  ASSERT_TRUE(WriteFileAtomically(dir.path() + "/big", std::string(100, 'x')).has_value());
  EXPECT_EQ(ReadFile(dir.path() + "/big", 99).error().errnum, EFBIG);
  EXPECT_EQ(ReadFile(dir.path() + "/big", 100).value().size(), 100U);
  EXPECT_EQ(ReadFile(dir.path() + "/none").error().code, Code::kNotFound);
}

TEST(RemoveTree, RemovesLinksAndNotWhatTheyPointTo) {
  const test::TempDir dir;
  const std::string tree = dir.path() + "/tree";
  const std::string kept = dir.path() + "/kept";
  ASSERT_TRUE(MakeDirectories(tree + "/a/b").has_value());
  ASSERT_TRUE(MakeDirectories(kept).has_value());
  ASSERT_TRUE(WriteFileAtomically(kept + "/file", "x").has_value());
  std::filesystem::create_symlink(kept, tree + "/a/link");
  ASSERT_TRUE(RemoveTree(tree).has_value());
  EXPECT_FALSE(std::filesystem::exists(tree));
  EXPECT_TRUE(std::filesystem::exists(kept + "/file"));
  EXPECT_TRUE(RemoveTree(tree).has_value()) << "a missing tree is success";
}

}  // namespace
}  // namespace coracle
