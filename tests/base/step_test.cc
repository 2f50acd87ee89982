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
     [](Log& log) noexcept { log.text += "c"; }, "its letter", UndoAfter::kAttempt},
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

TEST(RunSteps, TellsTheObserverWhenEachStepRan) {
  Log log{.text = "", .fail_second = true};
  std::uint64_t clock = 100;
  std::string begun;
  std::vector<StepTime> done;
  StepObserver observer;
  observer.now = [&] { return clock += 10; };
  observer.begun = [&](const StepTime& time) { begun += time.step; };
  observer.done = [&](const StepTime& time) { done.push_back(time); };
  EXPECT_FALSE(RunSteps(std::span<const Step<Log>>(kSteps), log, observer).has_value());
  EXPECT_EQ(begun, "firstsecond");
  ASSERT_EQ(done.size(), 2U);
  EXPECT_EQ(done[0].step, "first");
  EXPECT_EQ(done[0].start_us, 110U);
  EXPECT_EQ(done[0].us, 10U);
  EXPECT_FALSE(done[0].failed);
  EXPECT_EQ(done[1].spec, "spec.md#second");
  EXPECT_EQ(done[1].start_us, 130U);
  EXPECT_TRUE(done[1].failed);
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
