// cgroup files and device rules as properties of a systemd unit: systemd.resource-control(5).
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <ranges>
#include <string_view>
#include <utility>

#include "systemd_unit.h"

namespace coracle::runtime {
namespace {

constexpr std::uint64_t kInfinity = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kDefaultPeriodUs = 100'000;
constexpr std::uint64_t kSecondUs = 1'000'000;
constexpr std::uint64_t kPercentUs = kSecondUs / 100;
// The first versions of systemd that know it; all else is known since 244.
constexpr int kCpuIdleSince = 252;
constexpr int kOomPolicySince = 253;
constexpr int kZswapSince = 253;

std::vector<std::string_view> WordsOf(std::string_view text) {
  std::vector<std::string_view> words;
  for (auto part : std::views::split(text, ' '))
    if (!part.empty()) words.emplace_back(part.begin(), part.end());
  return words;
}

// "max" is systemd's infinity. What is no number has no property: the kernel will say so.
std::optional<std::uint64_t> Number(std::string_view text) {
  if (text == "max") return kInfinity;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

using Properties = std::vector<UnitProperty>;

void Add(Properties& properties, std::string name, std::uint64_t value, int since = 0) {
  properties.push_back({.name = std::move(name), .signature = "t", .value = value, .since = since});
}

// One number, which is the property's as well.
struct Plain {
  std::string_view file, property;
  int since = 0;
};
constexpr Plain kPlain[] = {
    {"cpu.weight", "CPUWeight"},
    {"memory.min", "MemoryMin"},
    {"memory.low", "MemoryLow"},
    {"memory.high", "MemoryHigh"},
    {"memory.max", "MemoryMax"},
    {"memory.swap.max", "MemorySwapMax"},
    {"memory.zswap.max", "MemoryZSwapMax", kZswapSince},
};

// systemd takes no 0 for it.
void AddTasks(std::string_view text, Properties& properties) {
  if (const auto value = Number(text)) Add(properties, "TasksMax", std::max(*value, 1UL));
}

// An idle group has the weight 0; one that is none any more the default again, as in the kernel.
void AddCpuIdle(std::string_view text, Properties& properties) {
  if (text == "1") Add(properties, "CPUWeight", 0, kCpuIdleSince);
  if (text == "0") Add(properties, "CPUWeight", kInfinity);
}

void AddOomGroup(std::string_view text, Properties& properties) {
  if (text != "0" && text != "1") return;
  properties.push_back({.name = "OOMPolicy",
                        .signature = "s",
                        .value = text == "1" ? "kill" : "continue",
                        .since = kOomPolicySince,
                        .only_at_start = true});
}

// cpu.max: "QUOTA [PERIOD]"; the text gets the rounded quota.
void AddCpuMax(std::string& text, Properties& properties) {
  const std::vector<std::string_view> words = WordsOf(text);
  if (words.empty() || words.size() > 2) return;
  const auto quota = Number(words[0]);
  const auto period = words.size() == 2 ? Number(words[1]) : std::optional(kDefaultPeriodUs);
  if (!quota || !period || *period == 0 || *period > kSecondUs) return;
  const bool has_period = words.size() == 2;
  std::uint64_t per_second = kInfinity;
  if (*quota != kInfinity) {
    if (*quota > kInfinity / kSecondUs) return;
    per_second = *quota * kSecondUs / *period;
    per_second = (per_second + kPercentUs - 1) / kPercentUs * kPercentUs;
    // A period that is no whole number of percents: not below what was asked for.
    text = std::to_string(std::max(*quota, per_second * *period / kSecondUs)) +
           (has_period ? " " + std::to_string(*period) : "");
  }
  if (has_period) Add(properties, "CPUQuotaPeriodUSec", *period);
  Add(properties, "CPUQuotaPerSecUSec", per_second);
}

// "0-3,7" as bits, the lowest byte first.
std::optional<Json> Bits(std::string_view list) {
  constexpr std::uint64_t kMost = 8192;
  std::vector<std::uint8_t> bytes;
  for (auto part : std::views::split(list, ',')) {
    const std::string_view range(part.begin(), part.end());
    const std::size_t dash = std::min(range.find('-'), range.size());
    const auto first = Number(range.substr(0, dash));
    const auto last = dash == range.size() ? first : Number(range.substr(dash + 1));
    if (!first || !last || *first > *last || *last >= kMost) return std::nullopt;
    bytes.resize(std::max<std::size_t>(bytes.size(), *last / 8 + 1));
    for (std::uint64_t bit = *first; bit <= *last; ++bit)
      bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | 1U << bit % 8);
  }
  return Json(bytes);
}

void AddBits(const char* name, std::string_view list, Properties& properties) {
  if (auto bits = Bits(list))
    properties.push_back({.name = name, .signature = "ay", .value = std::move(*bits)});
}

std::string BlockDevice(std::string_view numbers) { return "/dev/block/" + std::string(numbers); }

// A list property that exists already takes further devices.
void AddDeviceNumber(const std::string& name, std::string_view device, std::uint64_t number,
                     Properties& properties) {
  Json entry = Json::array({BlockDevice(device), number});
  properties.push_back(
      {.name = name, .signature = "a(st)", .value = Json::array({std::move(entry)})});
}

// io.weight: "100", "default 100" or "8:0 100".
void AddIoWeight(std::string_view text, Properties& properties) {
  const std::vector<std::string_view> words = WordsOf(text);
  const auto weight = words.empty() ? std::nullopt : Number(words.back());
  if (!weight || words.size() > 2) return;
  if (words.size() == 1 || words[0] == "default") return Add(properties, "IOWeight", *weight);
  AddDeviceNumber("IODeviceWeight", words[0], *weight, properties);
}

// io.max: "8:0 rbps=1048576 wiops=max".
void AddIoMax(std::string_view text, Properties& properties) {
  constexpr std::array<std::pair<std::string_view, const char*>, 4> kKeys = {
      {{"rbps", "IOReadBandwidthMax"},
       {"wbps", "IOWriteBandwidthMax"},
       {"riops", "IOReadIOPSMax"},
       {"wiops", "IOWriteIOPSMax"}}};
  const std::vector<std::string_view> words = WordsOf(text);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = std::min(words[i].find('='), words[i].size());
    const auto rate = equals < words[i].size() ? Number(words[i].substr(equals + 1)) : std::nullopt;
    for (const auto& [key, name] : kKeys)
      if (rate && words[i].substr(0, equals) == key)
        AddDeviceNumber(name, words[0], *rate, properties);
  }
}

void AddFor(CgroupWrite& write, Properties& properties) {
  for (const Plain& plain : kPlain) {
    if (plain.file != write.file) continue;
    if (const auto value = Number(write.text))
      Add(properties, std::string(plain.property), *value, plain.since);
  }
  if (write.file == "pids.max") AddTasks(write.text, properties);
  if (write.file == "cpu.idle") AddCpuIdle(write.text, properties);
  if (write.file == "cpu.max") AddCpuMax(write.text, properties);
  if (write.file == "cpuset.cpus") AddBits("AllowedCPUs", write.text, properties);
  if (write.file == "cpuset.mems") AddBits("AllowedMemoryNodes", write.text, properties);
  if (write.file == "io.weight") AddIoWeight(write.text, properties);
  if (write.file == "io.max") AddIoMax(write.text, properties);
  if (write.file == "memory.oom.group") AddOomGroup(write.text, properties);
}

std::string DeviceName(const oci::DeviceRule& rule, char type) {
  const std::string group = type == 'c' ? "char" : "block";
  const std::int64_t major = rule.major.value_or(-1);
  const std::int64_t minor = rule.minor.value_or(-1);
  // There is no word for one minor number of every driver: then all of them.
  if (major < 0) return group + "-*";
  if (minor < 0) return group + "-" + std::to_string(major);
  return "/dev/" + group + "/" + std::to_string(major) + ":" + std::to_string(minor);
}

// Of two entries for one name systemd keeps the last: so there is one, with all that is allowed.
void Allow(const std::string& name, const std::string& access, Json& list) {
  for (Json& entry : list) {
    if (entry[0] != name) continue;
    std::string all = entry[1].get<std::string>();
    for (const char letter : access)
      if (all.find(letter) == std::string::npos) all += letter;
    entry[1] = all;
    return;
  }
  list.push_back(Json::array({name, access}));
}

bool IsAnyType(const oci::DeviceRule& rule) { return rule.type == "a" || rule.type.empty(); }

bool AllowsAll(const oci::DeviceRule& rule) {
  return rule.allow && IsAnyType(rule) && rule.major.value_or(-1) < 0 &&
         rule.minor.value_or(-1) < 0;
}

}  // namespace

std::vector<UnitProperty> LimitProperties(std::vector<CgroupWrite>& writes) {
  Properties properties;
  for (CgroupWrite& write : writes) AddFor(write, properties);
  return properties;
}

std::vector<UnitProperty> DeviceProperties(const std::vector<oci::DeviceRule>& rules) {
  const bool all = std::ranges::any_of(rules, AllowsAll);
  Json list = Json::array();
  for (const oci::DeviceRule& rule : rules) {
    if (all || !rule.allow || rule.access.empty()) continue;
    for (const char type : {'c', 'b'})
      if (IsAnyType(rule) || rule.type[0] == type) Allow(DeviceName(rule, type), rule.access, list);
  }
  // The empty list first: a list property is added to, and this one shall replace.
  return {{.name = "DevicePolicy", .signature = "s", .value = all ? "auto" : "strict"},
          {.name = "DeviceAllow", .signature = "a(ss)", .value = Json::array()},
          {.name = "DeviceAllow", .signature = "a(ss)", .value = std::move(list)}};
}

}  // namespace coracle::runtime
