#include "number_list.h"

#include <algorithm>
#include <charconv>

namespace coracle::runtime {
namespace {

bool ParseNumber(std::string_view text, unsigned& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::optional<std::vector<unsigned>> ParseNumberList(std::string_view list, unsigned limit) {
  std::vector<unsigned> numbers;
  while (!list.empty()) {
    const std::string_view range = list.substr(0, list.find(','));
    list.remove_prefix(std::min(range.size() + 1, list.size()));
    const std::size_t dash = range.find('-');
    unsigned first = 0;
    if (!ParseNumber(range.substr(0, dash), first)) return {};
    unsigned last = first;
    if (dash != std::string_view::npos && !ParseNumber(range.substr(dash + 1), last)) return {};
    if (last < first || last >= limit) return {};
    for (unsigned number = first; number <= last; ++number) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace coracle::runtime
