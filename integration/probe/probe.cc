#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <cstdio>

namespace probe {

std::string Quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    char escaped[8];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned char>(c));
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string ReadFile(const std::string& path, bool* opened) {
  std::string text;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened != nullptr) *opened = fd >= 0;
  if (fd < 0) return text;
  char buffer[4096];
  for (ssize_t size; (size = read(fd, buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<size_t>(size));
  close(fd);
  return text;
}

std::string ErrnoName(int errnum) {
  if (errnum == 0) return "0";
  const char* name = strerrorname_np(errnum);
  return name != nullptr ? name : std::to_string(errnum);
}

}  // namespace probe

int main(int argc, char** argv) {
  std::string facts;
  const auto print = [&facts] {
    if (facts.empty()) return;
    std::printf("{%s}\n", facts.c_str());
    std::fflush(stdout);
    facts.clear();
  };
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::string argument = equals == std::string::npos ? "" : word.substr(equals + 1);
    const std::string value = probe::Fact(name, argument);
    if (!value.empty()) {
      facts += (facts.empty() ? "" : ", ") + probe::Quote(word) + ": " + value;
      continue;
    }
    print();
    if (!probe::Act(name, argument)) {
      std::fprintf(stderr, "probe: unknown word %s\n", word.c_str());
      return 100;
    }
  }
  print();
  return 0;
}
