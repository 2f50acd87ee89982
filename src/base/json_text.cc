#include "coracle/base/json_text.h"

namespace coracle {
namespace {

// Reads over values. Every function leaves `at_` behind what it read, or gives false.
class Skipper {
 public:
  explicit Skipper(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  // Of the member `name` of the object that begins here.
  std::optional<std::string_view> Member(std::string_view name) {
    std::optional<std::string_view> found;
    if (!Take('{') || Take('}')) return std::nullopt;
    do {
      const auto key = String();
      if (!key || key->find('\\') != std::string_view::npos || !Take(':')) return std::nullopt;
      const auto value = Value();
      if (!value || (found && *key == name)) return std::nullopt;
      if (*key == name) found = value;
    } while (Take(','));
    return Take('}') ? found : std::nullopt;
  }

 private:
  static bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

  bool Take(char wanted) {
    while (at_ < end_ && IsSpace(*at_)) ++at_;
    if (at_ == end_ || *at_ != wanted) return false;
    ++at_;
    return true;
  }

  // What stands between the quotes.
  std::optional<std::string_view> String() {
    if (!Take('"')) return std::nullopt;
    for (const char* begin = at_; at_ < end_; ++at_) {
      if (*at_ == '"') return std::string_view(begin, at_++);
      if (*at_ == '\\' && ++at_ == end_) break;
    }
    return std::nullopt;
  }

  std::optional<std::string_view> Value() {
    while (at_ < end_ && IsSpace(*at_)) ++at_;
    const char* begin = at_;
    const bool whole = at_ < end_ && (*at_ == '{' || *at_ == '[') ? Structure() : Scalar();
    return whole ? std::optional(std::string_view(begin, at_)) : std::nullopt;
  }

  bool Scalar() {
    if (at_ < end_ && *at_ == '"') return String().has_value();
    const char* begin = at_;
    while (at_ < end_ && *at_ != ',' && *at_ != '}' && *at_ != ']' && !IsSpace(*at_)) ++at_;
    return at_ > begin && at_ < end_;
  }

  // An object or an array, up to its own end.
  bool Structure() {
    int depth = 0;
    while (at_ < end_) {
      const char c = *at_;
      if (c == '"') {
        if (!String()) return false;
        continue;
      }
      ++at_;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return true;
    }
    return false;
  }

  const char* at_;
  const char* end_;
};

}  // namespace

std::optional<std::string_view> FindJsonText(std::string_view document,
                                             std::initializer_list<std::string_view> path) {
  std::optional found(document);
  for (const std::string_view name : path)
    if (found) found = Skipper(*found).Member(name);
  return found;
}

}  // namespace coracle
