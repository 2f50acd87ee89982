#include "coracle/base/json.h"

#include <algorithm>

namespace coracle {
namespace {

std::string Shown(const Json& value) {
  if (value.is_structured()) return value.type_name();
  std::string text = PrintJson(value);
  if (text.size() > 64) text = text.substr(0, 61) + "...";
  return std::string(value.type_name()) + " " + text;
}

}  // namespace

std::string EscapeJsonPointer(const std::string& key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

Result<Json> ParseJson(std::string_view text, const std::string& what) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ...": keep what helps.
    std::string message = error.what();
    if (const auto end = message.find("] "); end != std::string::npos) message.erase(0, end + 2);
    return Error{Code::kInvalidConfig, 0, what + ": not valid JSON: " + message};
  }
}

std::string PrintJson(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

std::string JsonPlace::Pointer() const {
  if (parent == nullptr) return "";
  return parent->Pointer() + "/" +
         (key.data() == nullptr ? std::to_string(index) : EscapeJsonPointer(std::string(key)));
}

JsonReader::JsonReader(const Json& value, const JsonPlace& place, Document& document)
    : value_(value), place_(place), document_(document) {
  asked_.reserve(16);
}

const Json* JsonReader::Find(std::string_view key) {
  asked_.push_back(key);
  const auto member = value_.find(key);
  return member == value_.end() || member->is_null() ? nullptr : &*member;
}

void JsonReader::Problem(std::string_view key, const std::string& text) {
  document_.problems.push_back(JsonPlace{&place_, key}.Pointer() + ": " + text);
}

void JsonReader::NoteIgnored() {
  for (const auto& [key, member] : value_.items()) {
    if (std::find(asked_.begin(), asked_.end(), key) == asked_.end())
      document_.ignored.push_back(JsonPlace{&place_, key}.Pointer());
  }
}

void JsonReader::Mismatch(const JsonPlace& place, const std::string& expected, const Json& got) {
  document_.problems.push_back(place.Pointer() + ": expected " + expected + ", got " + Shown(got));
}

void JsonReader::ReadValue(const Json& value, const JsonPlace& place, std::string& out) {
  if (!value.is_string()) return Mismatch(place, "string", value);
  out = value.get_ref<const std::string&>();
  if (out.find('\0') != std::string::npos)
    document_.problems.push_back(place.Pointer() + ": contains a NUL byte");
}

void JsonReader::ReadValue(const Json& value, const JsonPlace& place, bool& out) {
  if (!value.is_boolean()) return Mismatch(place, "true or false", value);
  out = value.get<bool>();
}

void JsonReader::ReadValue(const Json& value, const JsonPlace& /*place*/, Json& out) {
  out = value;
}

void JsonReader::ReadSigned(const Json& value, const JsonPlace& place, SignedRange range,
                            std::int64_t& out) {
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool fits =
      value.is_number_unsigned() ? value.get<std::uint64_t>() <= kMax : value.is_number_integer();
  const std::int64_t number = fits ? value.get<std::int64_t>() : 0;
  if (fits && number >= range.low && number <= range.high) {
    out = number;
    return;
  }
  Mismatch(place, "integer from " + std::to_string(range.low) + " to " + std::to_string(range.high),
           value);
}

void JsonReader::ReadUnsigned(const Json& value, const JsonPlace& place, std::uint64_t high,
                              std::uint64_t& out) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > high)
    return Mismatch(place, "integer from 0 to " + std::to_string(high), value);
  out = value.get<std::uint64_t>();
}

Error JsonProblems(const std::string& what, const std::vector<std::string>& problems) {
  std::string text = what + ": ";
  if (problems.size() > 1) text += std::to_string(problems.size()) + " problems: ";
  for (std::size_t i = 0; i < problems.size(); ++i) text += (i == 0 ? "" : "; ") + problems[i];
  return {Code::kInvalidConfig, 0, std::move(text)};
}

}  // namespace coracle
