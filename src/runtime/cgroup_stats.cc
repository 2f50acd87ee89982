#include <charconv>
#include <functional>
#include <limits>
#include <ranges>
#include <string_view>

#include "coracle/base/file.h"
#include "coracle/runtime/cgroup.h"

namespace coracle::runtime {
namespace {

using Counter = std::optional<std::uint64_t>;

std::optional<std::uint64_t> ParseCounter(std::string_view text) {
  if (text == "max") return std::numeric_limits<std::uint64_t>::max();
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

double ParseAverage(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (auto part : std::views::split(text, separator)) {
    if (const std::string_view word(part.begin(), part.end()); !word.empty()) parts.push_back(word);
  }
  return parts;
}

// Splits at `separator`; without one the second part is empty.
std::pair<std::string_view, std::string_view> Pair(std::string_view text, char separator) {
  const auto at = text.find(separator);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

// One cgroup directory. A file that is not there is a controller that is not enabled: no value.
class Files {
 public:
  explicit Files(const std::string& path) : path_(path) {}

  [[nodiscard]] std::string Read(const char* file) const {
    Result<std::string> text = ReadFile(path_ + "/" + file);
    return text.has_value() ? *std::move(text) : std::string();
  }

  [[nodiscard]] Counter Single(const char* file) const {
    const std::string text = Read(file);
    return ParseCounter(Pair(text, '\n').first);
  }

  // "key value" lines.
  void Keyed(const char* file,
             std::initializer_list<std::pair<std::string_view, Counter*>> wanted) const {
    const std::string text = Read(file);
    for (const std::string_view line : Split(text, '\n')) {
      const auto [key, value] = Pair(line, ' ');
      for (const auto& [name, counter] : wanted) {
        if (key == name) *counter = ParseCounter(value);
      }
    }
  }

  // "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and the same with "full".
  void ReadPressure(const char* file, std::optional<Pressure>& some,
                    std::optional<Pressure>& full) const {
    const std::string text = Read(file);
    for (const std::string_view line : Split(text, '\n')) {
      Pressure pressure;
      for (const std::string_view word : Split(line, ' ')) {
        const auto [key, value] = Pair(word, '=');
        if (key == "avg10") pressure.avg10 = ParseAverage(value);
        if (key == "avg60") pressure.avg60 = ParseAverage(value);
        if (key == "avg300") pressure.avg300 = ParseAverage(value);
        if (key == "total") pressure.total_us = ParseCounter(value).value_or(0);
      }
      if (line.starts_with("some ")) some = pressure;
      if (line.starts_with("full ")) full = pressure;
    }
  }

 private:
  const std::string& path_;
};

// "8:0 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0".
std::vector<DeviceIo> ParseIo(std::string_view text) {
  std::vector<DeviceIo> devices;
  for (const std::string_view line : Split(text, '\n')) {
    const auto [device, counters] = Pair(line, ' ');
    const auto [major, minor] = Pair(device, ':');
    DeviceIo io{.major = ParseCounter(major).value_or(0), .minor = ParseCounter(minor).value_or(0)};
    for (const std::string_view word : Split(counters, ' ')) {
      const auto [key, value] = Pair(word, '=');
      if (key == "rbytes") io.rbytes = ParseCounter(value).value_or(0);
      if (key == "wbytes") io.wbytes = ParseCounter(value).value_or(0);
      if (key == "rios") io.rios = ParseCounter(value).value_or(0);
      if (key == "wios") io.wios = ParseCounter(value).value_or(0);
    }
    devices.push_back(io);
  }
  return devices;
}

void ReadMemory(const Files& files, CgroupStats& stats) {
  stats.memory_usage = files.Single("memory.current");
  stats.memory_limit = files.Single("memory.max");
  stats.memory_max_usage = files.Single("memory.peak");
  stats.swap_usage = files.Single("memory.swap.current");
  stats.swap_limit = files.Single("memory.swap.max");
  files.Keyed("memory.stat", {{"anon", &stats.anon},
                              {"file", &stats.file},
                              {"kernel_stack", &stats.kernel_stack},
                              {"file_mapped", &stats.file_mapped},
                              {"inactive_file", &stats.inactive_file},
                              {"active_file", &stats.active_file},
                              {"pgfault", &stats.pgfault},
                              {"pgmajfault", &stats.pgmajfault}});
  files.Keyed("memory.events", {{"oom", &stats.oom}, {"oom_kill", &stats.oom_kill}});
}

}  // namespace

Result<CgroupStats> ReadCgroupStats(const std::string& path) {
  // Every cgroup has this file: without it there is no cgroup.
  TRY(ReadFile(path + "/cgroup.events"));
  const Files files(path);
  CgroupStats stats;
  files.Keyed("cpu.stat", {{"usage_usec", &stats.cpu_usage_us},
                           {"user_usec", &stats.cpu_user_us},
                           {"system_usec", &stats.cpu_system_us},
                           {"nr_periods", &stats.cpu_periods},
                           {"nr_throttled", &stats.cpu_throttled},
                           {"throttled_usec", &stats.cpu_throttled_us}});
  ReadMemory(files, stats);
  stats.pids_current = files.Single("pids.current");
  stats.pids_limit = files.Single("pids.max");
  stats.io = ParseIo(files.Read("io.stat"));
  files.ReadPressure("cpu.pressure", stats.cpu_some, stats.cpu_full);
  files.ReadPressure("memory.pressure", stats.memory_some, stats.memory_full);
  files.ReadPressure("io.pressure", stats.io_some, stats.io_full);
  return stats;
}

}  // namespace coracle::runtime
