#include <algorithm>

#include "cli.h"

namespace coracle::runtime::cli {
namespace {

struct Heading {
  std::string_view table, text;
};
constexpr Heading kHeadings[] = {
    {"create", "The runtime, at `create`"},
    {"container", "The container process meanwhile, until it is `created` and waits"},
    {"start", "The runtime, at `start`"},
    {"program", "The container process meanwhile, until it is the program"},
    {"delete", "The runtime, at `delete`"},
    {"exec", "The runtime, at `exec`"},
    {"exec-process", "The exec process meanwhile; then it becomes the program as at `start`"},
};

std::string_view HeadingOf(std::string_view table) {
  return std::ranges::find(kHeadings, table, &Heading::table)->text;
}

// One screen: 120 columns, and a bundle like that of `coracle spec` in 50 lines.
constexpr std::size_t kNameWidth = 23, kDetailWidth = 50, kCallsWidth = 22, kSpecWidth = 21;

// Cut off where it is too long, and followed by a space.
std::string Cell(std::string_view text, std::size_t width) {
  if (text.size() <= width) return std::string(text) + std::string(width - text.size() + 1, ' ');
  return std::string(text.substr(0, width - 2)) + ".. ";
}

std::string Without(std::string text, std::string_view part) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part))
    text.erase(at, part.size());
  return text;
}

std::string ShortLine(const ExplainedStep& explained) {
  const StepInfo& step = explained.step;
  std::string line = " " + Cell(step.name, kNameWidth) +
                     Cell(explained.detail.empty() ? step.why : explained.detail, kDetailWidth) +
                     Cell(Without(std::string(step.calls), "(2)"), kCallsWidth) +
                     Cell(Without(std::string(step.spec), ".md"), kSpecWidth);
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string LongLines(const ExplainedStep& explained) {
  const StepInfo& step = explained.step;
  std::string text = "  " + std::string(step.name) + ": " + std::string(step.calls);
  if (step.spec != "-") text += ", " + std::string(step.spec);
  text += "\n      " + std::string(step.why) + "\n";
  if (explained.idle) text += "      Here: nothing to do.\n";
  if (!explained.detail.empty()) text += "      Here: " + explained.detail + "\n";
  return text;
}

// "a, b, c", in lines of at most the width of a screen.
std::string Wrapped(const std::string& label, const std::vector<std::string>& words) {
  constexpr std::size_t kWidth = 120;
  std::string text;
  std::string line = label;
  for (const std::string& word : words) {
    const bool last = &word == &words.back();
    if (line.size() > label.size() && line.size() + word.size() + 2 > kWidth) {
      text += line + "\n";
      line = std::string(label.size(), ' ');
    }
    line += " " + word + (last ? "" : ",");
  }
  return text + line + "\n";
}

std::string IdleOf(const Explanation& explanation, std::string_view table) {
  std::vector<std::string> names;
  for (const ExplainedStep& each : explanation.steps)
    if (each.idle && each.step.table == table) names.emplace_back(each.step.name);
  return names.empty() ? "" : Wrapped(" nothing to do:", names);
}

// Properties that nobody knows are one line; a warning is a line of its own.
std::string LeftOut(const Explanation& explanation) {
  std::string text =
      explanation.ignored.empty()
          ? "Ignored: nothing.\n"
          : Wrapped("Ignored, since no such property is known:", explanation.ignored);
  for (const std::string& warning : explanation.warnings) text += "Warning: " + warning + "\n";
  return text;
}

std::string Text(const Explanation& explanation, bool full) {
  std::string text;
  std::string_view table;
  for (const ExplainedStep& explained : explanation.steps) {
    if (explained.step.table != table) {
      if (!full) text += IdleOf(explanation, table);
      table = explained.step.table;
      text += std::string(HeadingOf(table));
      text += full || table != "create" ? "\n" : "   (with --long nothing is cut off)\n";
    }
    if (full)
      text += LongLines(explained);
    else if (!explained.idle)
      text += ShortLine(explained);
  }
  if (!full) text += IdleOf(explanation, table);
  return text + LeftOut(explanation);
}

// For docs/CONTAINER_SETUP.md: every table, each step a row.
std::string Markdown() {
  std::string text;
  std::string_view table;
  for (const StepInfo& step : AllSteps()) {
    if (step.table != table) {
      table = step.table;
      text += (text.empty() ? "## " : "\n## ") + std::string(table) + "\n\n" +
              std::string(HeadingOf(table)) +
              ".\n\n| step | calls | specification | why | when a later step fails |\n"
              "|---|---|---|---|---|\n";
    }
    for (const auto cell : {step.name, step.calls, step.spec, step.why})
      text.append("| ").append(cell).append(" ");
    text += "| " + std::string(step.undone.empty() ? "-" : step.undone) + " |\n";
  }
  return text;
}

}  // namespace

Result<int> RunExplain(Context& context, const Words& words) {
  std::string bundle;
  std::string operand;
  bool markdown = false;
  bool full = false;
  Arguments arguments("coracle explain",
                      "Prints what `create` and `start` do for a bundle, step by step.");
  arguments.OptionalOperand("bundle", operand, "directory of config.json (default: the current)");
  arguments.Text("-b,--bundle", bundle, "the same, as `create` takes it");
  arguments.Flag("--long", full, "nothing cut off, and why each step is there");
  arguments.Flag("--markdown", markdown, "print all steps, of no bundle, as Markdown");
  if (!TRY(arguments.Parse(words))) return 0;
  if (markdown) {
    TRY(Print(Markdown()));
    return 0;
  }
  if (bundle.empty()) bundle = operand.empty() ? "." : operand;
  TRY(Print(Text(TRY(Explain(context.runtime, bundle)), full)));
  return 0;
}

}  // namespace coracle::runtime::cli
