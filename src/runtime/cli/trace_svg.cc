// A trace as a picture: two lanes above one time axis, a bar per step, arrows where the processes
// meet. Self-contained; a bar tells its kernel calls and its reason when it is pointed at.
#include <algorithm>
#include <array>
#include <cstdio>

#include "coracle/runtime/container.h"
#include "trace.h"
#include "trace_axis.h"

namespace coracle::runtime::cli {
namespace {

constexpr double kWidth = 1240, kLeft = 24, kRight = kWidth - 24;
constexpr double kHead = 92, kLaneHead = 28, kRow = 16, kBar = 11, kLaneGap = 10, kFoot = 30;
constexpr double kLetter = 6.3;    // about the width of one
constexpr double kLeastBar = 1.5;  // what is too short to see

constexpr std::string_view kStyle = R"(<style>
text { font: 11px system-ui, "DejaVu Sans", sans-serif; fill: #222;
  paint-order: stroke; stroke: #fff; stroke-width: 2px; stroke-opacity: .7 }
.title { font-size: 18px; font-weight: 600 }
.lane { font-size: 12px; font-weight: 600 }
.soft { fill: #666 }
.end { text-anchor: end }
.middle { text-anchor: middle }
.tick { stroke: #000; stroke-opacity: .12 }
.cut { stroke: #888; stroke-dasharray: 2 3 }
.ours { fill: #2b6cb0 }
.theirs { fill: #c05621 }
.waits { fill-opacity: .35 }
.failed { fill: #c00000 }
.meets { stroke: #555; stroke-dasharray: 4 2; fill: none; marker-end: url(#head) }
</style>
<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
orient="auto"><path d="M0 0L8 4L0 8z" fill="#555"/>
</marker>
)";

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Number(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

std::string Point(double x, double y) { return Number(x) + " " + Number(y); }

struct Style {
  std::string_view classes;
};
std::string Text(double x, double y, Style style, std::string_view text) {
  return "<text x=\"" + Number(x) + "\" y=\"" + Number(y) + "\" class=\"" +
         std::string(style.classes) + "\">" + Escaped(text) + "</text>\n";
}

std::string Line(const std::string& from, const std::string& to, Style style) {
  return "<path d=\"M" + from + "L" + to + "\" class=\"" + std::string(style.classes) + "\"/>\n";
}

// Pointed at: what the step is, and why.
std::string Tooltip(const TracedStep& step) {
  std::string text = step.step + ": " + std::to_string(step.us) + " µs";
  for (const StepInfo& info : AllSteps())
    if (info.name == step.step && info.spec == step.spec)
      return text + "\n" + std::string(info.calls) + "; " + step.spec + "\n" +
             std::string(info.why);
  return text;
}

std::string_view FirstOf(std::string_view table) {
  for (const StepInfo& info : AllSteps())
    if (info.table == table) return info.name;
  return "";
}

// A step whose bar has been drawn.
struct Bar {
  const TracedStep* step;
  double x, end, y;  // y: its middle
};

std::string DrawBar(const TracedStep& step, const Bar& bar) {
  const bool ours = step.process == "runtime";
  std::string classes = ours ? "ours" : "theirs";
  if (step.step.starts_with("await-")) classes += " waits";
  if (step.failed) classes += " failed";
  std::string svg = "<rect x=\"" + Number(bar.x) + "\" y=\"" + Number(bar.y - kBar / 2) +
                    "\" width=\"" + Number(bar.end - bar.x) + "\" height=\"" + Number(kBar) +
                    "\" class=\"" + classes + "\"><title>" + Escaped(Tooltip(step)) +
                    "</title></rect>\n";
  const std::string label =
      step.step + "  " + std::to_string(step.us) + " µs" + (step.failed ? ", failed" : "");
  const bool fits = bar.end + 5 + static_cast<double>(label.size()) * kLetter < kRight;
  return svg + Text(fits ? bar.end + 5 : bar.x - 5, bar.y + 4, {fits ? "" : "end"}, label);
}

struct Lane {
  std::string_view process, title, fill;
};

class Picture {
 public:
  explicit Picture(const TracedRun& run) : run_(run), axis_(run, kLeft + 6, kRight - 6) {}

  std::string Draw() {
    std::string lanes = DrawLane({"runtime", "the runtime: coracle", "#eef4fa"});
    if (const std::string other = run_.OtherProcess(); !other.empty())
      lanes += DrawLane({other,
                         other == "exec" ? "the exec process, until it is the program"
                                         : "the container process, until it is the program",
                         "#fdf3ec"});
    const double height = y_ + kFoot;
    return "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + Point(kWidth, height) +
           "\" width=\"" + Number(kWidth) + "\" height=\"" + Number(height) + "\">\n" +
           std::string(kStyle) + "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n" +
           DrawHead() + lanes + DrawAxis() + DrawMeetings() + bars_svg_ + "</svg>\n";
  }

 private:
  [[nodiscard]] std::string DrawHead() const {
    const std::string total = Number(static_cast<double>(axis_.busy_us()) / 1000);
    return Text(kLeft, 30, {"title"},
                run_.command + ": " + std::to_string(run_.steps.size()) + " steps, " + total +
                    " ms") +
           Text(kLeft, 50, {"soft"},
                "Milliseconds since the command began. A light bar waits for the other process; an "
                "arrow is where one lets the other go on.");
  }

  // The background at once; the bars are drawn above the ticks.
  std::string DrawLane(const Lane& lane) {
    const double top = y_;
    y_ += kLaneHead;
    for (const TracedStep& step : run_.steps) {
      if (step.process != lane.process) continue;
      const double x = axis_.At(step.start_us);
      bars_.push_back({&step, x, x + std::max(kLeastBar, axis_.Length(step.us)), y_ + kRow / 2});
      bars_svg_ += DrawBar(step, bars_.back());
      y_ += kRow;
    }
    y_ += 6;
    const std::string svg = "<rect x=\"" + Number(kLeft) + "\" y=\"" + Number(top) + "\" width=\"" +
                            Number(kRight - kLeft) + "\" height=\"" + Number(y_ - top) +
                            "\" fill=\"" + std::string(lane.fill) + "\"/>\n" +
                            Text(kLeft + 8, top + 18, {"lane"}, lane.title);
    bottom_ = y_;
    y_ += kLaneGap;
    return svg;
  }

  [[nodiscard]] std::string DrawAxis() const {
    std::string svg;
    for (const auto& tick : axis_.Ticks())
      svg += Line(Point(tick.x, kHead - 4), Point(tick.x, bottom_), {"tick"}) +
             Text(tick.x, kHead - 9, {"soft middle"}, tick.text);
    for (const auto& cut : axis_.Cuts())
      svg += Line(Point(cut.x, kHead - 4), Point(cut.x, bottom_), {"cut"}) +
             Text(cut.x, bottom_ + 18, {"soft middle"}, cut.text + " ms left out");
    return svg;
  }

  [[nodiscard]] std::string DrawMeetings() const {
    struct Meeting {
      std::string_view from, to;
      bool at_ends = false;  // from where one ends to where the other ends
    };
    // In `run` the process has gone on until there, and need not have waited at all.
    const auto connect = std::ranges::find(bars_, "connect", NameOf);
    const auto program = std::ranges::find(bars_, FirstOf("program"), NameOf);
    const bool goes_on =
        connect != bars_.end() && program != bars_.end() && program->x < connect->x;
    const Meeting meetings[] = {{"clone-process", FirstOf("container")},
                                {"clone-process", FirstOf("exec-process")},
                                {"say-ready", "await-ready", true},
                                {"connect", goes_on ? "await-go" : FirstOf("program"), goes_on},
                                {"execute", "await-program", true}};
    std::string svg;
    for (const Meeting& meeting : meetings) {
      const auto from = std::ranges::find(bars_, meeting.from, NameOf);
      const auto to = std::ranges::find(bars_, meeting.to, NameOf);
      if (from == bars_.end() || to == bars_.end()) continue;
      const double begin = meeting.at_ends ? from->end : std::clamp(to->x, from->x, from->end);
      const double side = from->y < to->y ? kBar / 2 : -kBar / 2;
      svg += Line(Point(begin, from->y + side),
                  Point(meeting.at_ends ? to->end : to->x, to->y - side), {"meets"});
    }
    return svg;
  }

  static std::string_view NameOf(const Bar& bar) { return bar.step->step; }

  const TracedRun& run_;
  const TraceAxis axis_;
  double y_ = kHead, bottom_ = kHead;
  std::vector<Bar> bars_;
  std::string bars_svg_;
};

}  // namespace

std::string TraceAsSvg(const TracedRun& run) { return Picture(run).Draw(); }

}  // namespace coracle::runtime::cli
