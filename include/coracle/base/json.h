// JSON without exceptions: nlohmann/json, parsed and printed behind Result, and a reader that
// names the place (JSON pointer) of everything it does not like and collects all of it.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coracle/base/json_fwd.h"
#include "coracle/base/result.h"

namespace coracle {

// `what` names the document in the error: "/path/config.json: line 3, column 7: ...".
Result<Json> ParseJson(std::string_view text, const std::string& what);

// Never throws: bytes that are not UTF-8 become U+FFFD. `indent` -1 = one line.
std::string PrintJson(const Json& value, int indent = -1);

// RFC 6901: `~` and `/` inside a key become "~0" and "~1".
std::string EscapeJsonPointer(const std::string& key);

// Where a value stands, told only when somebody asks: most values are as they should be.
struct JsonPlace {
  const JsonPlace* parent = nullptr;  // null: the whole document
  std::string_view key = {};
  std::size_t index = 0;  // of an array, where `key` is null
  [[nodiscard]] std::string Pointer() const;
};

// Looks at one JSON object. Problems go to a list shared by all readers of the document, so that
// a person sees them all at once. An absent member and an explicit null are the same.
//
//   void Read(JsonReader& r, Mount& m) {
//     r.Required("destination", m.destination);  // "/mounts/3/destination: expected string, ..."
//     r.Optional("options", m.options);
//   }
//
// To make a type readable as a member, define `void Read(JsonReader&, T&)` (an object) beside it.
class JsonReader {
 public:
  struct Document {
    std::vector<std::string> problems;  // "/pointer: what is wrong; what is allowed"
    std::vector<std::string> ignored;   // "/pointer" of members nobody asked for
  };

  JsonReader(const Json& value, const JsonPlace& place, Document& document);

  template <class T>
  void Required(std::string_view key, T& out) {
    if (const Json* member = Find(key)) {
      ReadValue(*member, {&place_, key}, out);
    } else {
      Problem(key, "required, but missing");
    }
  }
  template <class T>
  void Optional(std::string_view key, T& out) {
    if (const Json* member = Find(key)) ReadValue(*member, {&place_, key}, out);
  }
  template <class T>
  void Optional(std::string_view key, std::optional<T>& out) {
    if (const Json* member = Find(key)) ReadValue(*member, {&place_, key}, out.emplace());
  }
  // A member read as it is; null when absent.
  const Json* Find(std::string_view key);
  void Problem(std::string_view key, const std::string& text);
  // Members that no call asked for go to `ignored`. Called by ReadValue after Read.
  void NoteIgnored();

 private:
  void Mismatch(const JsonPlace& place, const std::string& expected, const Json& got);
  void ReadValue(const Json& value, const JsonPlace& place, std::string& out);
  void ReadValue(const Json& value, const JsonPlace& place, bool& out);
  void ReadValue(const Json& value, const JsonPlace& place, Json& out);
  // In range or a problem: a number that does not fit is never cut off.
  struct SignedRange {
    std::int64_t low, high;
  };
  void ReadSigned(const Json& value, const JsonPlace& place, SignedRange range, std::int64_t& out);
  void ReadUnsigned(const Json& value, const JsonPlace& place, std::uint64_t high,
                    std::uint64_t& out);

  template <std::signed_integral T>
  void ReadValue(const Json& value, const JsonPlace& place, T& out) {
    std::int64_t wide = out;
    ReadSigned(value, place, {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()}, wide);
    out = static_cast<T>(wide);
  }
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) void ReadValue(const Json& value, const JsonPlace& place,
                                                  T& out) {
    std::uint64_t wide = out;
    ReadUnsigned(value, place, std::numeric_limits<T>::max(), wide);
    out = static_cast<T>(wide);
  }
  template <class T>
  void ReadValue(const Json& value, const JsonPlace& place, std::vector<T>& out) {
    if (!value.is_array()) return Mismatch(place, "array", value);
    for (std::size_t i = 0; i < value.size(); ++i)
      ReadValue(value[i], {&place, {}, i}, out.emplace_back());
  }
  template <class T>
  void ReadValue(const Json& value, const JsonPlace& place, std::map<std::string, T>& out) {
    if (!value.is_object()) return Mismatch(place, "object", value);
    for (const auto& [key, member] : value.items()) ReadValue(member, {&place, key}, out[key]);
  }
  template <class T>
  requires requires(JsonReader& reader, T& out) { Read(reader, out); }
  void ReadValue(const Json& value, const JsonPlace& place, T& out) {
    if (!value.is_object()) return Mismatch(place, "object", value);
    JsonReader reader(value, place, document_);
    Read(reader, out);
    reader.NoteIgnored();
  }

  const Json& value_;
  const JsonPlace& place_;
  Document& document_;
  std::vector<std::string_view> asked_;
};

// Reads a whole document into `out`; every problem in one Error (kInvalidConfig), one line each
// after the first: "<what>: 2 problems: /a: ...; /b: ...". `ignored` may be null.
template <class T>
Status ReadJsonDocument(const Json& json, const std::string& what, T& out,
                        std::vector<std::string>* ignored = nullptr);

Error JsonProblems(const std::string& what, const std::vector<std::string>& problems);

template <class T>
Status ReadJsonDocument(const Json& json, const std::string& what, T& out,
                        std::vector<std::string>* ignored) {
  JsonReader::Document document;
  if (!json.is_object())
    return JsonProblems(what, {"/: expected object, got " + std::string(json.type_name())});
  const JsonPlace whole;
  JsonReader reader(json, whole, document);
  Read(reader, out);
  reader.NoteIgnored();
  if (ignored != nullptr) *ignored = std::move(document.ignored);
  if (!document.problems.empty()) return JsonProblems(what, document.problems);
  return {};
}

}  // namespace coracle
