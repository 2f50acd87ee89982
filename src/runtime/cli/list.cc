#include <algorithm>
#include <array>

#include "container_json.h"
#include "coracle/base/json.h"

namespace coracle::runtime::cli {
namespace {

using Row = std::array<std::string, 6>;

std::string Table(const std::vector<Row>& rows) {
  std::array<std::size_t, 6> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += row[i] + std::string(widths[i] + 3 - row[i].size(), ' ');
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

Result<Json> DescribeAll(const Context& context, const std::vector<oci::State>& states) {
  Json all = Json::array();
  for (const auto& state : states) {
    auto json = DescribeContainer(context.runtime, state);
    // Deleted since: a list has no order with what others do meanwhile.
    if (!json.has_value() && json.error().code == Code::kNotFound) continue;
    all.push_back(TRY(std::move(json)));
  }
  return all;
}

}  // namespace

Result<int> RunList(Context& context, const Words& words) {
  std::string format = "table";
  bool quiet = false;
  Arguments arguments("coracle list", "Lists the containers of this root.");
  arguments.Text("-f,--format", format, "table or json");
  arguments.Flag("-q,--quiet", quiet, "names only");
  if (!TRY(arguments.Parse(words))) return 0;
  const bool as_json = TRY(WantsJson(format));
  const auto states = TRY(List(context.runtime));
  if (quiet) {
    std::string names;
    for (const auto& state : states) names += state.id + "\n";
    TRY(Print(names));
    return 0;
  }
  const Json all = TRY(DescribeAll(context, states));
  if (as_json) {
    TRY(Print(PrintJson(all) + "\n"));
    return 0;
  }
  std::vector<Row> rows = {{"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"}};
  for (const Json& one : all) {
    rows.push_back({one["id"].get<std::string>(), PrintJson(one["pid"]),
                    one["status"].get<std::string>(), one["bundle"].get<std::string>(),
                    one["created"].get<std::string>(), one["owner"].get<std::string>()});
  }
  TRY(Print(Table(rows)));
  return 0;
}

}  // namespace coracle::runtime::cli
