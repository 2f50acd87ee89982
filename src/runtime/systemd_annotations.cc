// org.systemd.property.NAME in config.json: any property of the unit, written as runc and crun
// take it.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "systemd_unit.h"

namespace coracle::runtime {
namespace {

constexpr std::string_view kPrefix = "org.systemd.property.";
constexpr std::string_view kAllowed =
    "allowed are true, false, 'text', ['a', 'b'], a number, and a number after its type: "
    "\"uint64 5\"";

struct Variant {
  std::string signature;
  Json value;
};

std::string_view Trim(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// 'text' or "text"; a backslash takes the next character as it is. `text` is left behind it.
std::optional<std::string> TakeString(std::string_view& text) {
  if (text.empty() || (text[0] != '\'' && text[0] != '"')) return std::nullopt;
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == text[0]) {
      text = Trim(text.substr(i + 1));
      return out;
    }
    if (text[i] == '\\' && ++i == text.size()) break;
    out += text[i];
  }
  return std::nullopt;
}

std::optional<Variant> ParseStrings(std::string_view text) {
  Variant list{"as", Json::array()};
  text = Trim(text.substr(1));
  while (!text.starts_with(']')) {
    const auto one = TakeString(text);
    if (!one) return std::nullopt;
    list.value.push_back(*one);
    if (text.starts_with(',')) {
      text = Trim(text.substr(1));
    } else if (!text.starts_with(']')) {
      return std::nullopt;
    }
  }
  return text == "]" && !list.value.empty() ? std::optional(std::move(list)) : std::nullopt;
}

template <class T>
std::optional<Json> Number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return Json(value);
}

struct NumberType {
  std::string_view word, signature;
  std::optional<Json> (*parse)(std::string_view);
};
constexpr std::array<NumberType, 8> kNumberTypes = {{{"byte", "y", Number<std::uint8_t>},
                                                     {"int16", "n", Number<std::int16_t>},
                                                     {"uint16", "q", Number<std::uint16_t>},
                                                     {"int32", "i", Number<std::int32_t>},
                                                     {"uint32", "u", Number<std::uint32_t>},
                                                     {"int64", "x", Number<std::int64_t>},
                                                     {"uint64", "t", Number<std::uint64_t>},
                                                     {"double", "d", Number<double>}}};

std::optional<Variant> ParseNumber(std::string_view text) {
  const std::size_t space = std::min(text.find(' '), text.size());
  const bool typed = space < text.size();
  const std::string_view digits = typed ? Trim(text.substr(space)) : text;
  const bool is_double = !typed && text.find('.') != std::string_view::npos;
  const std::string_view word = typed ? text.substr(0, space) : is_double ? "double" : "int32";
  for (const NumberType& type : kNumberTypes) {
    if (type.word != word) continue;
    if (auto value = type.parse(digits)) return Variant{std::string(type.signature), *value};
  }
  return std::nullopt;
}

std::optional<Variant> Parse(std::string_view text) {
  text = Trim(text);
  if (text == "true" || text == "false") return Variant{"b", text == "true"};
  if (text.starts_with('[')) return ParseStrings(text);
  if (auto string = TakeString(text))
    return text.empty() ? std::optional(Variant{"s", *string}) : std::nullopt;
  return ParseNumber(text);
}

bool IsName(std::string_view name) {
  return name.size() >= 3 && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
         });
}

// The manual speaks of TimeoutStopSec=; on the bus it is TimeoutStopUSec, in microseconds.
bool SecondsToMicroseconds(UnitProperty& property) {
  constexpr std::string_view kSuffix = "Sec";
  const std::string& name = property.name;
  if (!name.ends_with(kSuffix) || name.size() <= kSuffix.size()) return true;
  const char before = name[name.size() - kSuffix.size() - 1];
  if (before < 'a' || before > 'z') return true;
  const Json& value = property.value;
  constexpr double kMicro = 1e6;
  constexpr double kMost = 1.8e13;  // more does not fit
  if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > kMost) return false;
  const std::uint64_t microseconds =
      value.is_number_float() ? static_cast<std::uint64_t>(value.get<double>() * kMicro)
                              : value.get<std::uint64_t>() * static_cast<std::uint64_t>(kMicro);
  property = {.name = name.substr(0, name.size() - kSuffix.size()) + "USec",
              .signature = "t",
              .value = microseconds};
  return true;
}

}  // namespace

Result<std::vector<UnitProperty>> AnnotatedProperties(const oci::Annotations& annotations) {
  std::vector<UnitProperty> properties;
  std::vector<std::string> problems;
  for (const auto& [key, text] : annotations) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string pointer = "/annotations/" + EscapeJsonPointer(key) + ": ";
    const std::string name = key.substr(kPrefix.size());
    if (!IsName(name)) {
      problems.push_back(pointer + "\"" + name + "\" is no property's name: letters, at least 3");
      continue;
    }
    auto variant = Parse(text);
    UnitProperty property{.name = name};
    if (variant) {
      property.signature = std::move(variant->signature);
      property.value = std::move(variant->value);
    }
    if (!variant || !SecondsToMicroseconds(property)) {
      problems.push_back(pointer + "got \"" + text + "\"; " + std::string(kAllowed));
      continue;
    }
    properties.push_back(std::move(property));
  }
  if (!problems.empty()) return JsonProblems("config.json", problems);
  return properties;
}

}  // namespace coracle::runtime
