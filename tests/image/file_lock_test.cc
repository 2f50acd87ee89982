#include "file_lock.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "support/temp_dir.h"

namespace coracle::image {
namespace {

TEST(FileLockTest, SharedTogetherExclusiveAlone) {
  const coracle::test::TempDir directory;
  const std::string path = directory.path() + "/lock";
  auto first = TryLockFile(path, LockMode::kShared);
  EXPECT_TRUE(*TryLockFile(path, LockMode::kShared));
  EXPECT_FALSE(*TryLockFile(path, LockMode::kExclusive));
  first->reset();
  EXPECT_TRUE(*TryLockFile(path, LockMode::kExclusive));
}

TEST(FileLockTest, AStopRequestEndsTheWait) {
  const coracle::test::TempDir directory;
  const std::string path = directory.path() + "/lock";
  const auto held = TryLockFile(path, LockMode::kExclusive);
  std::stop_source stop;
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    stop.request_stop();
  });
  const auto waited = LockFile(path, LockMode::kExclusive, stop.get_token());
  ASSERT_FALSE(waited.has_value());
  EXPECT_EQ(waited.error().errnum, ECANCELED);
}

TEST(FileLockTest, ALockOnARemovedFileDoesNotCount) {
  const coracle::test::TempDir directory;
  const std::string path = directory.path() + "/lock";
  const auto held = TryLockFile(path, LockMode::kExclusive);
  ::unlink(path.c_str());
  const auto anew = TryLockFile(path, LockMode::kExclusive);
  EXPECT_TRUE(*anew);
  EXPECT_FALSE(*TryLockFile(path, LockMode::kExclusive));
}

}  // namespace
}  // namespace coracle::image
