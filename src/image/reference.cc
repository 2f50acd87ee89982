// Image references in the grammar of distribution/reference, normalised as Docker does.
#include <algorithm>
#include <string>

#include "coracle/image/image_store.h"
#include "digest.h"

namespace coracle::image {
namespace {

constexpr std::size_t kMaxRepository = 255;
constexpr std::size_t kMaxTag = 128;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsAlnum(char c) { return IsDigit(c) || IsLower(c) || IsUpper(c); }

Error Malformed(const std::string& text, const std::string& problem) {
  return {Code::kInvalidConfig, 0, "image reference \"" + text.substr(0, 300) + "\": " + problem};
}

// One path component: runs of [a-z0-9] joined by ".", "_", "__" or any number of "-".
bool IsComponent(const std::string& text) {
  std::size_t i = 0;
  const auto run = [&] {
    const std::size_t begin = i;
    while (i < text.size() && (IsDigit(text[i]) || IsLower(text[i]))) ++i;
    return i > begin;
  };
  if (!run()) return false;
  while (i < text.size()) {
    const char separator = text[i];
    std::size_t count = 0;
    while (i < text.size() && text[i] == separator) ++i, ++count;
    const bool allowed =
        (separator == '.' && count == 1) || (separator == '_' && count <= 2) || separator == '-';
    if (!allowed || !run()) return false;
  }
  return true;
}

bool IsPort(const std::string& text) {
  if (text.empty() || text.size() > 5 || !std::all_of(text.begin(), text.end(), IsDigit))
    return false;
  const int port = std::stoi(text);
  return port >= 1 && port <= 65535;
}

// "host", "host:port", "[v6]", "[v6]:port".
bool IsRegistry(const std::string& text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string::npos || end < 3) return false;
    const auto hex = [](char c) { return c == ':' || c == '.' || std::isxdigit(c) != 0; };
    if (!std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(end), hex))
      return false;
    return end + 1 == text.size() || (text[end + 1] == ':' && IsPort(text.substr(end + 2)));
  }
  const auto colon = text.find(':');
  if (colon != std::string::npos && !IsPort(text.substr(colon + 1))) return false;
  std::string label;
  for (const char c : text.substr(0, colon) + ".") {
    if (c != '.') {
      if (!IsAlnum(c) && c != '-') return false;
      label += c;
      continue;
    }
    if (label.empty() || label.front() == '-' || label.back() == '-') return false;
    label.clear();
  }
  return true;
}

bool IsTag(const std::string& text) {
  if (text.empty() || text.size() > kMaxTag || (!IsAlnum(text[0]) && text[0] != '_')) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlnum(c) || c == '_' || c == '.' || c == '-'; });
}

Status SetName(const std::string& text, std::string name, Reference& out) {
  const auto slash = name.find('/');
  const std::string first = name.substr(0, slash);
  // Docker's rule for what is a registry and not the first directory of a repository.
  const bool has_registry =
      slash != std::string::npos &&
      (first.find_first_of(".:[") != std::string::npos || first == "localhost" ||
       std::any_of(first.begin(), first.end(), IsUpper));
  if (has_registry) {
    if (!IsRegistry(first))
      return Malformed(text, "registry \"" + first + "\" is not a host name with optional port");
    out.registry = first == "index.docker.io" ? "docker.io" : first;
    name.erase(0, slash + 1);
  } else {
    out.registry = "docker.io";
  }
  if (out.registry == "docker.io" && name.find('/') == std::string::npos) name = "library/" + name;
  if (name.size() > kMaxRepository)
    return Malformed(text, "repository is longer than 255 characters");
  for (std::size_t begin = 0; begin <= name.size();) {
    const auto end = std::min(name.find('/', begin), name.size());
    if (!IsComponent(name.substr(begin, end - begin)))
      return Malformed(text, "repository \"" + name +
                                 "\": each component must be lower-case letters and digits, "
                                 "separated by one '.', one or two '_', or '-'");
    begin = end + 1;
  }
  out.repository = name;
  return {};
}

}  // namespace

std::string Reference::Name() const { return registry + "/" + repository; }

std::string Reference::String() const {
  return digest.empty() ? Name() + ":" + tag : Name() + "@" + digest;
}

Result<Reference> ParseReference(const std::string& text) {
  Reference out;
  if (text.empty()) return Malformed(text, "is empty");
  if (text.find("://") != std::string::npos)
    return Malformed(text, "has a scheme; expected [registry/]repository[:tag][@digest]");
  std::string rest = text;
  if (const auto at = rest.find('@'); at != std::string::npos) {
    Result<Digest> digest = ParseDigest(rest.substr(at + 1));
    if (!digest.has_value()) return Malformed(text, digest.error().message);
    out.digest = digest->String();
    rest.erase(at);
  }
  const auto colon = rest.rfind(':');
  const auto slash = rest.rfind('/');
  if (colon != std::string::npos && (slash == std::string::npos || colon > slash)) {
    out.tag = rest.substr(colon + 1);
    if (!IsTag(out.tag))
      return Malformed(text, "tag \"" + out.tag.substr(0, 140) +
                                 "\": expected up to 128 letters, digits, '_', '.', '-', and not "
                                 "'.' or '-' first");
    rest.erase(colon);
  }
  if (rest.size() == 64 && out.tag.empty() && ParseDigest("sha256:" + rest).has_value())
    return Malformed(text, "is an image id, not a name");
  TRY(SetName(text, rest, out));
  if (out.tag.empty() && out.digest.empty()) out.tag = "latest";
  return out;
}

}  // namespace coracle::image
