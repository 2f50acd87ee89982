#include "numbers.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

namespace coracle::runtime::cli {
namespace {

using Unit = std::pair<std::string_view, std::int64_t>;

// `text` is a number and then one of `units`; `rule` tells what is allowed.
template <std::size_t N>
Result<std::int64_t> ParseWithUnit(const std::string& text, const Unit (&units)[N],
                                   const std::string& rule) {
  const auto split = text.find_first_not_of("0123456789");
  const auto tail = split == std::string::npos ? "" : text.substr(split);
  const auto unit = std::ranges::find(units, tail, &Unit::first);
  std::int64_t number = 0;
  const auto digits = text.substr(0, split);
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  std::int64_t product = 0;
  if (digits.empty() || error != std::errc() || unit == std::end(units) ||
      __builtin_mul_overflow(number, unit->second, &product))
    return Error{Code::kInvalidConfig, 0, rule};
  return product;
}

}  // namespace

Result<std::int64_t> ParseBytes(const std::string& text, const std::string& option) {
  if (text == "-1") return -1;
  constexpr Unit kUnits[] = {
      {"", 1},           {"b", 1},         {"k", 1L << 10},   {"kb", 1L << 10}, {"kib", 1L << 10},
      {"m", 1L << 20},   {"mb", 1L << 20}, {"mib", 1L << 20}, {"g", 1L << 30},  {"gb", 1L << 30},
      {"gib", 1L << 30}, {"t", 1L << 40},  {"tb", 1L << 40},  {"tib", 1L << 40}};
  std::string lower = text;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return ParseWithUnit(lower, kUnits,
                       option + ": \"" + text +
                           "\" is not a size; allowed: bytes, 512k, 64m, 1g, or -1 (unlimited)");
}

Result<std::int64_t> ParseMilliseconds(const std::string& text, const std::string& option) {
  constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  const auto milliseconds = TRY(ParseWithUnit(
      text, kUnits, option + ": \"" + text + "\" is not a duration; allowed: 500ms, 5s, 1m, 1h"));
  if (milliseconds == 0) return Error{Code::kInvalidConfig, 0, option + ": must be greater than 0"};
  return milliseconds;
}

}  // namespace coracle::runtime::cli
