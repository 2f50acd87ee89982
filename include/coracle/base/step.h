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
  UndoAfter undo_after = UndoAfter::kSuccess;
};

// What a run of steps tells to the outside. Both members may be empty.
struct StepObserver {
  // Tests replace this to fail one step: true = fail here instead of running it.
  std::function<bool(std::string_view step)> fault = {};
  // Called after each step that ran (`--trace`).
  std::function<void(std::string_view step, std::uint64_t microseconds)> done = {};
};

std::uint64_t MonotonicMicroseconds();

template <class Context>
void UndoSteps(std::span<const Step<Context>> steps, Context& context) noexcept {
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (step->undo != nullptr) step->undo(context);
  }
}

// Puts the step and its section in front of the error, unless an inner step already did.
Error AtStep(std::string_view name, std::string_view spec, Error error);

// Runs `steps` in order. On failure undoes what was begun, newest first, and names the step.
template <class Context>
Status RunSteps(std::span<const Step<Context>> steps, Context& context,
                const StepObserver& observer = {}) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto& step = steps[i];
    const std::uint64_t begin = observer.done ? MonotonicMicroseconds() : 0;
    Status status = observer.fault && observer.fault(step.name)
                        ? Status(Error{Code::kKernel, EIO, "injected fault"})
                        : step.run(context);
    if (status.has_value()) {
      if (observer.done) observer.done(step.name, MonotonicMicroseconds() - begin);
      continue;
    }
    UndoSteps(steps.first(step.undo_after == UndoAfter::kAttempt ? i + 1 : i), context);
    return AtStep(step.name, step.spec, std::move(status).error());
  }
  return {};
}

}  // namespace coracle
