#include "trace.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "coracle/base/file.h"
#include "coracle/base/json.h"

namespace coracle::runtime::cli {
namespace {

constexpr std::string_view kRuntime = "runtime";
constexpr std::size_t kLaneWidth = 36;  // of the text: name and microseconds

struct Format {
  std::string_view name;
  std::string (*render)(const TracedRun&);
};
constexpr Format kFormats[] = {{"text", TraceAsText}, {"json", TraceAsJson}, {"svg", TraceAsSvg}};

std::string Right(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string Milliseconds(std::uint64_t us) {
  std::string digits = std::to_string(us);
  if (digits.size() < 4) digits.insert(0, 4 - digits.size(), '0');
  return digits.insert(digits.size() - 3, ".");
}

std::string Lane(const TracedStep& step) {
  const std::string us = std::to_string(step.us) + (step.failed ? " FAILED" : "");
  return step.step + Right(us, kLaneWidth - std::min(kLaneWidth - 1, step.step.size()));
}

// What the other lane shows beside a step that begins now: whether it is at work.
std::string Meanwhile(const TracedRun& run, const TracedStep& now) {
  const bool busy = std::ranges::any_of(run.steps, [&](const TracedStep& other) {
    return other.process != now.process && other.start_us <= now.start_us &&
           now.start_us < other.start_us + other.us;
  });
  return busy ? "|" : "";
}

}  // namespace

std::uint64_t TracedRun::EndUs() const {
  std::uint64_t end_us = begin_us;
  for (const TracedStep& step : steps) end_us = std::max(end_us, step.start_us + step.us);
  return end_us;
}

std::string TracedRun::OtherProcess() const {
  const auto other =
      std::ranges::find_if(steps, [](const auto& step) { return step.process != kRuntime; });
  return other == steps.end() ? "" : other->process;
}

std::string TraceAsText(const TracedRun& run) {
  const std::string gap = "  ";
  std::string text =
      Right("ms", 10) + gap + std::string(kRuntime) + Right("us", kLaneWidth - kRuntime.size());
  if (const std::string other = run.OtherProcess(); !other.empty())
    text += gap + other + Right("us", kLaneWidth - other.size());
  for (const TracedStep& step : run.steps) {
    const std::string beside = Meanwhile(run, step);
    text += "\n" + Right(Milliseconds(step.start_us - run.begin_us), 10) + gap;
    if (step.process != kRuntime)
      text += beside + std::string(kLaneWidth - beside.size(), ' ') + gap + Lane(step);
    else
      text += Lane(step) + (beside.empty() ? "" : gap + beside);
  }
  return text + "\n" + Right(Milliseconds(run.EndUs() - run.begin_us), 10) + gap + "in all\n";
}

std::string TraceAsJson(const TracedRun& run) {
  std::string text;
  for (const TracedStep& step : run.steps) {
    Json object = {{"process", step.process},
                   {"step", step.step},
                   {"start_us", step.start_us},
                   {"us", step.us},
                   {"spec", step.spec}};
    if (step.failed) object["failed"] = true;
    text += PrintJson(object) + "\n";
  }
  return text;
}

Status Trace::Open(const std::string& word) {
  run_.begin_us = MonotonicMicroseconds();
  const std::size_t colon = word.find(':');
  const std::string name = word.substr(0, colon);
  for (const Format& format : kFormats)
    if (format.name == name) render_ = format.render;
  if (render_ == nullptr)
    return Error{Code::kInvalidConfig, 0,
                 "--trace: unknown form \"" + name + "\"; allowed: text json svg, then :FILE"};
  if (colon == std::string::npos) return {};
  const std::string path = word.substr(colon + 1);
  file_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file_) return KernelError("open the trace: open(2) path=" + path);
  return {};
}

void Trace::Observe(StepObserver& observer) {
  if (render_ == nullptr) return;
  observer.done = [this](const StepTime& time) {
    run_.steps.push_back({std::string(time.process.empty() ? kRuntime : time.process),
                          std::string(time.step), std::string(time.spec), time.start_us, time.us,
                          time.failed});
  };
}

Status Trace::Finish(const std::string& verb) {
  if (render_ == nullptr) return {};
  run_.command = "coracle " + verb;
  std::ranges::stable_sort(run_.steps, {}, &TracedStep::start_us);
  return WriteAll(file_ ? file_.get() : STDERR_FILENO, render_(run_), "trace");
}

}  // namespace coracle::runtime::cli
