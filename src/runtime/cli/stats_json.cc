#include "stats_json.h"

#include "coracle/base/json.h"

namespace coracle::runtime::cli {
namespace {

constexpr std::uint64_t kNanosecondsPerMicrosecond = 1000;

template <class T>
void PutIf(Json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

void PutNanoseconds(Json& json, const char* key, const std::optional<std::uint64_t>& value_us) {
  if (value_us) json[key] = *value_us * kNanosecondsPerMicrosecond;
}

void PutPressure(Json& json, const std::optional<Pressure>& some,
                 const std::optional<Pressure>& full) {
  const auto print = [](const Pressure& pressure) {
    return Json{{"avg10", pressure.avg10},
                {"avg60", pressure.avg60},
                {"avg300", pressure.avg300},
                {"total", pressure.total_us}};
  };
  if (some) json["psi"]["some"] = print(*some);
  if (full) json["psi"]["full"] = print(*full);
}

Json Cpu(const CgroupStats& stats) {
  Json usage = Json::object();
  PutNanoseconds(usage, "total", stats.cpu_usage_us);
  PutNanoseconds(usage, "kernel", stats.cpu_system_us);
  PutNanoseconds(usage, "user", stats.cpu_user_us);
  Json throttling = Json::object();
  PutIf(throttling, "periods", stats.cpu_periods);
  PutIf(throttling, "throttledPeriods", stats.cpu_throttled);
  PutNanoseconds(throttling, "throttledTime", stats.cpu_throttled_us);
  Json cpu = {{"usage", usage}, {"throttling", throttling}};
  PutPressure(cpu, stats.cpu_some, stats.cpu_full);
  return cpu;
}

Json Memory(const CgroupStats& stats) {
  Json usage = Json::object();
  PutIf(usage, "limit", stats.memory_limit);
  PutIf(usage, "usage", stats.memory_usage);
  PutIf(usage, "max", stats.memory_max_usage);
  PutIf(usage, "failcnt", stats.oom);
  Json swap = Json::object();
  PutIf(swap, "limit", stats.swap_limit);
  PutIf(swap, "usage", stats.swap_usage);
  Json raw = Json::object();
  PutIf(raw, "anon", stats.anon);
  PutIf(raw, "file", stats.file);
  PutIf(raw, "kernel_stack", stats.kernel_stack);
  PutIf(raw, "file_mapped", stats.file_mapped);
  PutIf(raw, "inactive_file", stats.inactive_file);
  PutIf(raw, "active_file", stats.active_file);
  PutIf(raw, "pgfault", stats.pgfault);
  PutIf(raw, "pgmajfault", stats.pgmajfault);
  Json memory = {{"usage", usage}, {"swap", swap}, {"raw", raw}};
  PutIf(memory, "cache", stats.file);
  PutPressure(memory, stats.memory_some, stats.memory_full);
  return memory;
}

Json BlockIo(const CgroupStats& stats) {
  Json bytes = Json::array();
  Json operations = Json::array();
  const auto entry = [](const DeviceIo& device, const char* operation, std::uint64_t value) {
    return Json{
        {"major", device.major}, {"minor", device.minor}, {"op", operation}, {"value", value}};
  };
  for (const DeviceIo& device : stats.io) {
    bytes.push_back(entry(device, "Read", device.rbytes));
    bytes.push_back(entry(device, "Write", device.wbytes));
    operations.push_back(entry(device, "Read", device.rios));
    operations.push_back(entry(device, "Write", device.wios));
  }
  Json io = {{"ioServiceBytesRecursive", bytes}, {"ioServicedRecursive", operations}};
  PutPressure(io, stats.io_some, stats.io_full);
  return io;
}

}  // namespace

Json StatsJson(const CgroupStats& stats) {
  Json pids = Json::object();
  PutIf(pids, "current", stats.pids_current);
  PutIf(pids, "limit", stats.pids_limit);
  return {
      {"cpu", Cpu(stats)}, {"memory", Memory(stats)}, {"pids", pids}, {"blkio", BlockIo(stats)}};
}

}  // namespace coracle::runtime::cli
