// Writes tar files byte by byte, so that tests can make what no tool would.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

namespace coracle::image::test {

struct TarEntry {
  std::string name;
  char type = '0';  // 0 file, 1 hard link, 2 symlink, 3 char, 4 block, 5 directory, 6 fifo
  std::string data = {};
  std::string link = {};
  unsigned mode = 0755;
  std::uint64_t uid = 0, gid = 0;
  std::uint64_t mtime = 1000000000;
  unsigned major = 0, minor = 0;
  std::map<std::string, std::string> pax = {};
};

class TarBuilder {
 public:
  TarBuilder& Add(const TarEntry& entry) {
    if (!entry.pax.empty()) {
      std::string records;
      for (const auto& [key, value] : entry.pax) records += Record(key, value);
      Put({.name = "pax", .type = 'x', .data = records});
    }
    Put(entry);
    return *this;
  }
  TarBuilder& Dir(const std::string& name, unsigned mode = 0755) {
    return Add({.name = name, .type = '5', .mode = mode});
  }
  TarBuilder& File(const std::string& name, const std::string& data, unsigned mode = 0644) {
    return Add({.name = name, .data = data, .mode = mode});
  }
  TarBuilder& Symlink(const std::string& target, const std::string& name) {
    return Add({.name = name, .type = '2', .link = target});
  }
  TarBuilder& Link(const std::string& target, const std::string& name) {
    return Add({.name = name, .type = '1', .link = target});
  }
  [[nodiscard]] std::string Finish() const { return out_ + std::string(1024, '\0'); }

 private:
  // "<length> key=value\n", the length counting itself.
  static std::string Record(const std::string& key, const std::string& value) {
    const std::string rest = " " + key + "=" + value + "\n";
    std::size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) ++length;
    return std::to_string(length) + rest;
  }
  static void Octal(char* field, std::size_t size, std::uint64_t value) {
    for (std::size_t i = size - 1; i-- > 0; value >>= 3)
      field[i] = static_cast<char>('0' + (value & 7));
  }
  void Put(const TarEntry& entry) {
    char header[512] = {};
    std::memcpy(header, entry.name.data(), std::min<std::size_t>(entry.name.size(), 100));
    Octal(header + 100, 8, entry.mode);
    Octal(header + 108, 8, entry.uid & 07777777);
    Octal(header + 116, 8, entry.gid & 07777777);
    Octal(header + 124, 12, entry.data.size());
    Octal(header + 136, 12, entry.mtime);
    header[156] = entry.type;
    std::memcpy(header + 157, entry.link.data(), std::min<std::size_t>(entry.link.size(), 100));
    std::memcpy(header + 257, "ustar\00000", 8);
    Octal(header + 329, 8, entry.major);
    Octal(header + 337, 8, entry.minor);
    std::memset(header + 148, ' ', 8);
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    std::snprintf(header + 148, 8, "%06o", sum);
    out_.append(header, sizeof header);
    out_ += entry.data;
    out_.append((512 - entry.data.size() % 512) % 512, '\0');
  }
  std::string out_;
};

}  // namespace coracle::image::test
