#include "cli.h"

namespace coracle::runtime::cli {
namespace {

// For docs/CONTAINER_SETUP.md: every table, each step a row.
std::string Markdown() {
  std::string text;
  std::string_view table;
  for (const StepInfo& step : AllSteps()) {
    if (step.table != table) {
      table = step.table;
      text += (text.empty() ? "## " : "\n## ") + std::string(table) +
              "\n\n| step | calls | specification | why |\n|---|---|---|---|\n";
    }
    for (const auto cell : {step.name, step.calls, step.spec, step.why})
      text.append("| ").append(cell).append(" ");
    text += "|\n";
  }
  return text;
}

}  // namespace

Result<int> RunExplain(Context& context, const Words& words) {
  std::string bundle;
  std::string operand;
  bool markdown = false;
  Arguments arguments("coracle explain", "Prints what `create` does for a bundle, step by step.");
  arguments.OptionalOperand("bundle", operand, "directory of config.json (default: the current)");
  arguments.Text("-b,--bundle", bundle, "the same, as `create` takes it");
  arguments.Flag("--markdown", markdown, "print all steps, of no bundle, as Markdown");
  if (!TRY(arguments.Parse(words))) return 0;
  if (markdown) {
    TRY(Print(Markdown()));
    return 0;
  }
  if (bundle.empty()) bundle = operand.empty() ? "." : operand;
  TRY(Print(TRY(Explain(context.runtime, bundle))));
  return 0;
}

}  // namespace coracle::runtime::cli
