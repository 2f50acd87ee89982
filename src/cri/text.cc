#include "text.h"

#include <charconv>
#include <chrono>
#include <filesystem>

#include "coracle/base/json.h"

namespace coracle::cri {

std::int64_t NowUnixNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string ToUtf8(std::string_view bytes) {
  // The JSON library is the one place that knows UTF-8: print with replacement, read back.
  const std::string printed = PrintJson(Json(std::string(bytes)));
  const Json clean = Json::parse(printed, nullptr, /*allow_exceptions=*/false);
  return clean.is_string() ? clean.get_ref<const std::string&>() : std::string();
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) text += separator;
    text += part;
  }
  return text;
}

bool ParseUint32(std::string_view text, std::uint32_t& out) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

std::string CleanPath(std::string_view path) {
  if (path.empty()) return {};
  std::string clean = std::filesystem::path(path).lexically_normal();
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return clean;
}

}  // namespace coracle::cri
