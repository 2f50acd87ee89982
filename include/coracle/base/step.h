// A sequence of named steps, as data. The same table runs the work, undoes it, explains it
// (`explain`), times it (`--trace`), and lets a test fail each step in turn.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "coracle/base/result.h"

namespace coracle {

// When a failing sequence is rolled back, whose undo runs?
enum class UndoAfter : std::uint8_t {
  kSuccess,  // only a step that completed: a failed mkdir(2) must not remove someone else's
             // directory
  kAttempt,  // also the step that failed: a CNI ADD that fails may still have attached something
};

template <class Context>
struct Step {
  std::string_view name;   // kebab-case; appears in errors, traces and docs, so it is stable
  std::string_view calls;  // kernel calls, as in the manual: "pivot_root(2), umount2(2)"
  std::string_view spec;   // section of the specification, or "-" when the choice is ours
  std::string_view why;    // one sentence
  Status (*run)(Context&);
  void (*undo)(Context&) noexcept = nullptr;
  std::string_view undone = {};  // in words, for the docs: what `undo` does
  UndoAfter undo_after = UndoAfter::kSuccess;
};

std::uint64_t MonotonicMicroseconds();

// When one step ran, and where.
struct StepTime {
  std::string_view process = {};  // empty: the process that tells it
  std::string_view step = {}, spec = {};
  std::uint64_t start_us = 0, us = 0;  // by the observer's clock
  bool failed = false;
};

// What a run of steps tells to the outside. Without the first three nothing is measured.
struct StepObserver {
  // Tests replace this to fail one step: true = fail here instead of running it.
  std::function<bool(std::string_view step)> fault = {};
  // Called before and after each step (`--trace`): the last one may never return.
  std::function<void(const StepTime&)> begun = {}, done = {};
  std::function<std::uint64_t()> now = MonotonicMicroseconds;
};

template <class Context>
void UndoSteps(std::span<const Step<Context>> steps, Context& context) noexcept {
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (step->undo != nullptr) step->undo(context);
  }
}

// Puts the step and its section in front of the error, unless an inner step already did.
Error AtStep(std::string_view name, std::string_view spec, Error error);

// Runs `work`, and tells the observer of it as of one step.
template <class Work>
auto Observed(const StepObserver& observer, StepTime time, const Work& work) {
  if (observer.begun || observer.done) time.start_us = observer.now();
  if (observer.begun) observer.begun(time);
  auto result = work();
  if (observer.done) {
    time.us = observer.now() - time.start_us;
    time.failed = !result.has_value();
    observer.done(time);
  }
  return result;
}

// Runs `steps` in order. On failure undoes what was begun, newest first, and names the step.
template <class Context>
Status RunSteps(std::span<const Step<Context>> steps, Context& context,
                const StepObserver& observer = {}) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto& step = steps[i];
    const StepTime time{.step = step.name, .spec = step.spec};
    Status status = Observed(observer, time, [&] {
      return observer.fault && observer.fault(step.name)
                 ? Status(Error{Code::kKernel, EIO, "injected fault"})
                 : step.run(context);
    });
    if (status.has_value()) continue;
    UndoSteps(steps.first(step.undo_after == UndoAfter::kAttempt ? i + 1 : i), context);
    return AtStep(step.name, step.spec, std::move(status).error());
  }
  return {};
}

}  // namespace coracle
