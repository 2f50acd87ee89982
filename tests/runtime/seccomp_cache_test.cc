#include "seccomp_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "support/temp_dir.h"

namespace coracle::runtime {
namespace {

class SeccompCache : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(
        WriteCachedFilter(directory_, "key", {{{1, 2, 3, 4}, {5, 6, 7, 8}}, 2}).has_value());
    file_ = std::filesystem::directory_iterator(directory_)->path();
  }
  test::TempDir temp_;
  std::string directory_ = temp_.path() + "/cache";
  std::string file_;
};

TEST_F(SeccompCache, GivesBackWhatWasWritten) {
  const auto program = ReadCachedFilter(directory_, "key");
  ASSERT_TRUE(program.has_value());
  ASSERT_EQ(program->instructions.size(), 2U);
  EXPECT_EQ(program->instructions[1].k, 8U);
  EXPECT_EQ(program->flags, 2U);
  EXPECT_FALSE(ReadCachedFilter(directory_, "other").has_value());
}

TEST_F(SeccompCache, AFileOfTheSameNameForAnotherKeyIsNotTaken) {
  ASSERT_TRUE(WriteCachedFilter(directory_, "other", {{{9, 9, 9, 9}}, 0}).has_value());
  for (const auto& entry : std::filesystem::directory_iterator(directory_))
    if (entry.path() != file_)
      std::filesystem::copy_file(entry.path(), file_,
                                 std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(ReadCachedFilter(directory_, "key").has_value());
}

TEST_F(SeccompCache, SpoiledAndForeignFilesAreNotTaken) {
  std::filesystem::resize_file(file_, std::filesystem::file_size(file_) - sizeof(sock_filter));
  EXPECT_FALSE(ReadCachedFilter(directory_, "key").has_value());
  SetUp();
  ASSERT_TRUE(ReadCachedFilter(directory_, "key").has_value());
  ::chmod(file_.c_str(), 0666);
  EXPECT_FALSE(ReadCachedFilter(directory_, "key").has_value());
  SetUp();
  const std::string moved = file_ + ".moved";
  std::filesystem::rename(file_, moved);
  std::filesystem::create_symlink(moved, file_);
  EXPECT_FALSE(ReadCachedFilter(directory_, "key").has_value());
}

}  // namespace
}  // namespace coracle::runtime
