#include "coracle/base/step.h"

#include <gtest/gtest.h>

namespace coracle {
namespace {

struct Log {
  std::string text;
  bool fail_second = false;
};

constexpr Step<Log> kSteps[] = {
    {"first", "-", "spec.md#first", "one",
     [](Log& log) -> Status {
       log.text += "1";
       return {};
     },
     [](Log& log) noexcept { log.text += "a"; }},
    {"second", "-", "spec.md#second", "two",
     [](Log& log) -> Status {
       log.text += "2";
       if (log.fail_second) return Error{Code::kKernel, EIO, "no"};
       return {};
     },
     [](Log& log) noexcept { log.text += "b"; }},
    {"third", "-", "-", "three",
     [](Log& log) -> Status {
       log.text += "3";
       return {};
     },
     [](Log& log) noexcept { log.text += "c"; }, UndoAfter::kAttempt},
};

TEST(RunSteps, RunsAllInOrder) {
  Log log;
  EXPECT_TRUE(RunSteps(std::span<const Step<Log>>(kSteps), log).has_value());
  EXPECT_EQ(log.text, "123");
}

TEST(RunSteps, UndoesOnlyWhatCompletedAndNamesTheStep) {
  Log log{.text = "", .fail_second = true};
  const Status status = RunSteps(std::span<const Step<Log>>(kSteps), log);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().step, "second");
  EXPECT_EQ(status.error().message, "second (spec.md#second): no");
  EXPECT_EQ(log.text, "12a");
}

TEST(RunSteps, UndoesAFailedAttemptWhereTheTableSaysSo) {
  Log log;
  StepObserver observer;
  observer.fault = [](std::string_view step) { return step == "third"; };
  EXPECT_FALSE(RunSteps(std::span<const Step<Log>>(kSteps), log, observer).has_value());
  EXPECT_EQ(log.text, "12cba");
}

}  // namespace
}  // namespace coracle
