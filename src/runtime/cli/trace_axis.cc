#include "trace_axis.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace coracle::runtime::cli {
namespace {

constexpr double kCutWidth = 40;
constexpr std::uint64_t kMostTicks = 12;
constexpr std::uint64_t kTicksUs[] = {10,   20,     50,     100,    200,     500,     1000,   2000,
                                      5000, 10'000, 20'000, 50'000, 100'000, 200'000, 500'000};

std::string Milliseconds(std::uint64_t us) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g", static_cast<double>(us) / 1000);
  return text.data();
}

}  // namespace

TraceAxis::TraceAxis(const TracedRun& run, double left, double right) : begin_us_(run.begin_us) {
  Segment now{run.begin_us, run.begin_us};
  const auto close = [&] {
    busy_us_ += now.end_us - now.begin_us;
    segments_.push_back(now);
  };
  for (const TracedStep& step : run.steps) {
    const std::uint64_t spent_us = busy_us_ + now.end_us - now.begin_us;
    const bool begun = now.end_us > run.begin_us;
    if (begun && step.start_us > now.end_us && step.start_us - now.end_us > 200 + spent_us / 4) {
      close();
      now = {step.start_us, step.start_us};
    }
    now.end_us = std::max(now.end_us, step.start_us + step.us);
  }
  close();
  const double width = right - left - static_cast<double>(segments_.size() - 1) * kCutWidth;
  per_us_ = width / static_cast<double>(std::max<std::uint64_t>(busy_us_, 1));
  for (Segment& segment : segments_) {
    segment.x = left;
    left += Length(segment.end_us - segment.begin_us) + kCutWidth;
  }
}

double TraceAxis::At(std::uint64_t us) const {
  const Segment* found = &segments_.front();
  for (const Segment& segment : segments_)
    if (segment.begin_us <= us) found = &segment;
  return found->x + Length(std::min(us, found->end_us) - found->begin_us);
}

std::vector<TraceAxis::Mark> TraceAxis::Ticks() const {
  std::uint64_t apart_us = kTicksUs[0];
  for (const std::uint64_t us : kTicksUs)
    if (busy_us_ / apart_us > kMostTicks) apart_us = us;
  std::vector<Mark> ticks;
  for (const Segment& segment : segments_) {
    const std::uint64_t first = (segment.begin_us - begin_us_ + apart_us - 1) / apart_us;
    for (std::uint64_t us = first * apart_us; begin_us_ + us <= segment.end_us; us += apart_us)
      ticks.push_back({At(begin_us_ + us), Milliseconds(us)});
  }
  return ticks;
}

std::vector<TraceAxis::Mark> TraceAxis::Cuts() const {
  std::vector<Mark> cuts;
  for (std::size_t i = 1; i < segments_.size(); ++i)
    cuts.push_back({segments_[i].x - kCutWidth / 2,
                    Milliseconds(segments_[i].begin_us - segments_[i - 1].end_us)});
  return cuts;
}

}  // namespace coracle::runtime::cli
