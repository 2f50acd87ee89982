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

  JsonReader(const Json& value, std::string pointer, Document& document);

  template <class T>
  void Required(const char* key, T& out) {
    if (const Json* member = Find(key)) {
      ReadValue(*member, PointerTo(key), out);
    } else {
      Problem(key, "required, but missing");
    }
  }
  template <class T>
  void Optional(const char* key, T& out) {
    if (const Json* member = Find(key)) ReadValue(*member, PointerTo(key), out);
  }
  template <class T>
  void Optional(const char* key, std::optional<T>& out) {
    if (const Json* member = Find(key)) ReadValue(*member, PointerTo(key), out.emplace());
  }
  // A member read as it is; null when absent.
  const Json* Find(const char* key);
  void Problem(const std::string& key, const std::string& text);
  [[nodiscard]] std::string PointerTo(const std::string& key) const;
  // Members that no call asked for go to `ignored`. Called by ReadValue after Read.
  void NoteIgnored();

 private:
  void Mismatch(const std::string& pointer, const char* expected, const Json& got);
  void ReadValue(const Json& value, const std::string& pointer, std::string& out);
  void ReadValue(const Json& value, const std::string& pointer, bool& out);
  void ReadValue(const Json& value, const std::string& pointer, Json& out);
  // In range or a problem: a number that does not fit is never cut off.
  struct SignedRange {
    std::int64_t low, high;
  };
  void ReadSigned(const Json& value, const std::string& pointer, SignedRange range,
                  std::int64_t& out);
  void ReadUnsigned(const Json& value, const std::string& pointer, std::uint64_t high,
                    std::uint64_t& out);

  template <std::signed_integral T>
  void ReadValue(const Json& value, const std::string& pointer, T& out) {
    std::int64_t wide = out;
    ReadSigned(value, pointer, {std::numeric_limits<T>::min(), std::numeric_limits<T>::max()},
               wide);
    out = static_cast<T>(wide);
  }
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) void ReadValue(const Json& value, const std::string& pointer,
                                                  T& out) {
    std::uint64_t wide = out;
    ReadUnsigned(value, pointer, std::numeric_limits<T>::max(), wide);
    out = static_cast<T>(wide);
  }
  template <class T>
  void ReadValue(const Json& value, const std::string& pointer, std::vector<T>& out) {
    if (!value.is_array()) return Mismatch(pointer, "array", value);
    for (std::size_t i = 0; i < value.size(); ++i)
      ReadValue(value[i], pointer + "/" + std::to_string(i), out.emplace_back());
  }
  template <class T>
  void ReadValue(const Json& value, const std::string& pointer, std::map<std::string, T>& out) {
    if (!value.is_object()) return Mismatch(pointer, "object", value);
    for (const auto& [key, member] : value.items())
      ReadValue(member, pointer + "/" + EscapeJsonPointer(key), out[key]);
  }
  template <class T>
  requires requires(JsonReader& reader, T& out) { Read(reader, out); }
  void ReadValue(const Json& value, const std::string& pointer, T& out) {
    if (!value.is_object()) return Mismatch(pointer, "object", value);
    JsonReader reader(value, pointer, document_);
    Read(reader, out);
    reader.NoteIgnored();
  }

  const Json& value_;
  std::string pointer_;
  Document& document_;
  std::vector<std::string> asked_;
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
  JsonReader reader(json, "", document);
  Read(reader, out);
  reader.NoteIgnored();
  if (ignored != nullptr) *ignored = std::move(document.ignored);
  if (!document.problems.empty()) return JsonProblems(what, document.problems);
  return {};
}

}  // namespace coracle
