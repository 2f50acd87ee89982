#include "exec_output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <thread>

#include "coracle/base/file.h"
#include "support/temp_dir.h"

namespace coracle::cri {
namespace {

SteadyTime Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(20); }

TEST(ExecOutput, ReadsBothStreamsToTheirEnd) {
  const test::TempDir dir;
  auto output = ExecOutput::Open(dir.path() + "/x");
  ASSERT_TRUE(output.has_value());
  std::thread writer([&] {
    const UniqueFd out(::open(output->Path(0).c_str(), O_WRONLY));
    const UniqueFd err(::open(output->Path(1).c_str(), O_WRONLY));
    EXPECT_TRUE(WriteAll(out.get(), std::string(1 << 20, 'o'), "out").has_value());
    EXPECT_TRUE(WriteAll(err.get(), "e", "err").has_value());
  });
  const auto outcome = output->Read(-1, Soon());
  writer.join();
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(*outcome, ExecOutput::Outcome::kEnded);
  EXPECT_EQ(output->Take(0).size(), 1U << 20);
  EXPECT_EQ(output->Take(1), "e");
}

TEST(ExecOutput, ThrowsAwayWhatIsTooMuchWithoutBlockingTheWriter) {
  const test::TempDir dir;
  auto output = ExecOutput::Open(dir.path() + "/x");
  ASSERT_TRUE(output.has_value());
  std::thread writer([&] {
    const UniqueFd out(::open(output->Path(0).c_str(), O_WRONLY));
    const UniqueFd err(::open(output->Path(1).c_str(), O_WRONLY));
    EXPECT_TRUE(WriteAll(out.get(), std::string(17 << 20, 'o'), "out").has_value());
  });
  ASSERT_TRUE(output->Read(-1, Soon()).has_value());
  writer.join();
  EXPECT_EQ(output->Take(0).size(), 16U << 20);
}

TEST(ExecOutput, WakesAndTimesOut) {
  const test::TempDir dir;
  auto output = ExecOutput::Open(dir.path() + "/x");
  ASSERT_TRUE(output.has_value());
  const UniqueFd wake(::eventfd(0, EFD_CLOEXEC));
  EXPECT_EQ(output->Read(wake.get(), std::chrono::steady_clock::now()).value(),
            ExecOutput::Outcome::kDeadline);
  ASSERT_EQ(::eventfd_write(wake.get(), 1), 0);
  EXPECT_EQ(output->Read(wake.get(), Soon()).value(), ExecOutput::Outcome::kWoken);
}

}  // namespace
}  // namespace coracle::cri
