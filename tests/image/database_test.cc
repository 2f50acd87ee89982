#include "database.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "support/temp_dir.h"

namespace coracle::image {
namespace {

using Clock = std::chrono::steady_clock;

// SQLite lets one of two fail, without waiting, that switch to WAL at the same moment.
TEST(Database, ManyProcessesMayMakeItAtOnce) {
  for (int round = 0; round < 50; ++round) {
    const test::TempDir temp;
    const std::string path = temp.path() + "/new.db";
    const auto start = Clock::now() + std::chrono::milliseconds(5);
    std::array<pid_t, 6> makers{};
    for (pid_t& maker : makers) {
      maker = ::fork();
      if (maker != 0) continue;
      while (Clock::now() < start) {
      }
      ::_exit(Database::Open(path).has_value() ? 0 : 1);
    }
    for (const pid_t maker : makers) {
      int status = 0;
      ASSERT_EQ(::waitpid(maker, &status, 0), maker);
      ASSERT_EQ(status, 0) << "in round " << round;
    }
  }
}

}  // namespace
}  // namespace coracle::image
