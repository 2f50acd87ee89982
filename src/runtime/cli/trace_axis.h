// The time axis of a traced run's picture: which microsecond stands where.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trace.h"

namespace coracle::runtime::cli {

// While nothing of ours runs (the program does) the axis is cut, so that steps of microseconds
// stay visible.
class TraceAxis {
 public:
  TraceAxis(const TracedRun& run, double left, double right);

  [[nodiscard]] double At(std::uint64_t us) const;
  [[nodiscard]] double Length(std::uint64_t us) const { return static_cast<double>(us) * per_us_; }
  [[nodiscard]] std::uint64_t busy_us() const { return busy_us_; }

  struct Mark {
    double x;
    std::string text;  // milliseconds since the command began
  };
  [[nodiscard]] std::vector<Mark> Ticks() const;
  [[nodiscard]] std::vector<Mark> Cuts() const;

 private:
  struct Segment {
    std::uint64_t begin_us, end_us;
    double x = 0;
  };
  std::uint64_t begin_us_;
  std::vector<Segment> segments_;
  std::uint64_t busy_us_ = 0;
  double per_us_ = 1;
};

}  // namespace coracle::runtime::cli
