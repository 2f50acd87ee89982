#include "coracle/base/json_text.h"

namespace coracle {
namespace {

constexpr std::string_view kSpace = " \t\n\r";

// Reads over values. Every function leaves `at_` behind what it read, or gives false.
class Skipper {
 public:
  explicit Skipper(std::string_view text) : text_(text) {}

  // Of the member `name` of the object that begins here.
  std::optional<std::string_view> Member(std::string_view name) {
    std::optional<std::string_view> found;
    if (!Take('{')) return std::nullopt;
    if (Take('}')) return std::nullopt;
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
  bool Take(char wanted) {
    at_ = text_.find_first_not_of(kSpace, at_);
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  // What stands between the quotes.
  std::optional<std::string_view> String() {
    if (!Take('"')) return std::nullopt;
    const std::size_t begin = at_;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') return text_.substr(begin, at_++ - begin);
      if (text_[at_] == '\\') ++at_;
    }
    return std::nullopt;
  }

  std::optional<std::string_view> Value() {
    at_ = text_.find_first_not_of(kSpace, at_);
    const std::size_t begin = at_;
    for (int depth = 0; at_ < text_.size();) {
      const char c = text_[at_];
      const bool separates = c == ',' || c == '}' || c == ']' || kSpace.find(c) != kSpace.npos;
      if (depth == 0 && separates && at_ > begin) return text_.substr(begin, at_ - begin);
      if (c == '"') {
        if (!String()) return std::nullopt;
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      ++at_;
      if (depth < 0) return std::nullopt;
    }
    return std::nullopt;
  }

  std::string_view text_;
  std::size_t at_ = 0;
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
