#include "coracle/sys/mountinfo.h"

#include <charconv>
#include <string_view>

#include "coracle/base/file.h"

namespace coracle::sys {
namespace {

std::string_view NextField(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view field = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return field;
}

// "\040" -> " ".
std::string Unescape(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) &&
        octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

template <class T>
bool Number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseLine(std::string_view line, MountInfo& mount) {
  if (!Number(NextField(line), mount.id) || !Number(NextField(line), mount.parent)) return false;
  const std::string_view device = NextField(line);
  const std::size_t colon = device.find(':');
  if (colon == std::string_view::npos || !Number(device.substr(0, colon), mount.major) ||
      !Number(device.substr(colon + 1), mount.minor))
    return false;
  mount.root = Unescape(NextField(line));
  mount.mount_point = Unescape(NextField(line));
  mount.options = NextField(line);
  while (!line.empty()) {
    const std::string_view field = NextField(line);
    if (field == "-") {
      mount.fstype = Unescape(NextField(line));
      mount.source = Unescape(NextField(line));
      mount.super_options = NextField(line);
      return true;
    }
    mount.optional.emplace_back(field);
  }
  return false;
}

}  // namespace

Result<std::vector<MountInfo>> ReadMountInfo(const std::string& path) {
  const std::string text = TRY(ReadFile(path));
  std::vector<MountInfo> mounts;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (!ParseLine(rest.substr(0, end), mounts.emplace_back()))
      return Error{Code::kKernel, EPROTO,
                   path + ": not a line of mountinfo: " + std::string(rest.substr(0, end))};
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return mounts;
}

}  // namespace coracle::sys
