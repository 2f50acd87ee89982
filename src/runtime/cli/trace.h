// `--trace`: when each step ran, of the runtime and of the other process, on one clock.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/step.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime::cli {

struct TracedStep {
  std::string process;  // "runtime", "container" or "exec"
  std::string step, spec;
  std::uint64_t start_us = 0, us = 0;  // CLOCK_MONOTONIC
  bool failed = false;
};

// Everything that one command did, in the order in which it began.
struct TracedRun {
  std::string command;         // "coracle run"
  std::uint64_t begin_us = 0;  // when the command line was read
  std::vector<TracedStep> steps;

  [[nodiscard]] std::uint64_t EndUs() const;
  // "container" or "exec"; empty when no other process took part.
  [[nodiscard]] std::string OtherProcess() const;
};

std::string TraceAsText(const TracedRun& run);
std::string TraceAsJson(const TracedRun& run);  // an object per line
std::string TraceAsSvg(const TracedRun& run);

class Trace {
 public:
  // "text", "json" or "svg"; then ":FILE" for another place than standard error.
  Status Open(const std::string& word);
  void Observe(StepObserver& observer);
  // Prints all. Nothing where there was no Open.
  Status Finish(const std::string& verb);

 private:
  std::string (*render_)(const TracedRun&) = nullptr;
  UniqueFd file_;
  TracedRun run_;
};

}  // namespace coracle::runtime::cli
