#include "metrics.h"

#include <optional>

#include "cgroups/metrics.pb.h"

namespace coracle::shim {
namespace {

namespace wire = io::containerd::cgroups::v2;
using runtime::CgroupStats;
using runtime::Pressure;

// One number: the member of CgroupStats and its field. Encoding and decoding read the same rows.
template <class Message>
struct Row {
  std::optional<std::uint64_t> CgroupStats::*member;
  std::uint64_t (Message::*get)() const;
  void (Message::*set)(std::uint64_t);
};

#define ROW(message, member, field) \
  Row<wire::message> { &CgroupStats::member, &wire::message::field, &wire::message::set_##field }

constexpr Row<wire::PidsStat> kPids[] = {ROW(PidsStat, pids_current, current),
                                         ROW(PidsStat, pids_limit, limit)};
constexpr Row<wire::CPUStat> kCpu[] = {
    ROW(CPUStat, cpu_usage_us, usage_usec),    ROW(CPUStat, cpu_user_us, user_usec),
    ROW(CPUStat, cpu_system_us, system_usec),  ROW(CPUStat, cpu_periods, nr_periods),
    ROW(CPUStat, cpu_throttled, nr_throttled), ROW(CPUStat, cpu_throttled_us, throttled_usec),
};
constexpr Row<wire::MemoryStat> kMemory[] = {
    ROW(MemoryStat, anon, anon),
    ROW(MemoryStat, file, file),
    ROW(MemoryStat, kernel_stack, kernel_stack),
    ROW(MemoryStat, file_mapped, file_mapped),
    ROW(MemoryStat, inactive_file, inactive_file),
    ROW(MemoryStat, active_file, active_file),
    ROW(MemoryStat, pgfault, pgfault),
    ROW(MemoryStat, pgmajfault, pgmajfault),
    ROW(MemoryStat, memory_usage, usage),
    ROW(MemoryStat, memory_limit, usage_limit),
    ROW(MemoryStat, swap_usage, swap_usage),
    ROW(MemoryStat, swap_limit, swap_limit),
    ROW(MemoryStat, memory_max_usage, max_usage),
};
constexpr Row<wire::MemoryEvents> kMemoryEvents[] = {ROW(MemoryEvents, oom, oom),
                                                     ROW(MemoryEvents, oom_kill, oom_kill)};
#undef ROW

// Calls `make` for the message only once there is something to put into it.
template <class Message, std::size_t kRows, class Make>
void Encode(const Row<Message> (&rows)[kRows], const CgroupStats& stats, Make make) {
  for (const auto& row : rows) {
    if (const auto& value = stats.*row.member) (make()->*row.set)(*value);
  }
}

template <class Message, std::size_t kRows>
void Decode(const Row<Message> (&rows)[kRows], const Message& message, CgroupStats& stats) {
  for (const auto& row : rows) stats.*row.member = (message.*row.get)();
}

void EncodePressure(const Pressure& pressure, wire::PSIData& data) {
  data.set_avg10(pressure.avg10);
  data.set_avg60(pressure.avg60);
  data.set_avg300(pressure.avg300);
  data.set_total(pressure.total_us);
}

template <class Make>
void EncodePressures(const std::optional<Pressure>& some, const std::optional<Pressure>& full,
                     Make make) {
  if (some) EncodePressure(*some, *make()->mutable_some());
  if (full) EncodePressure(*full, *make()->mutable_full());
}

void DecodePressures(const wire::PSIStats& psi, std::optional<Pressure>& some,
                     std::optional<Pressure>& full) {
  const auto pressure = [](const wire::PSIData& data) {
    return Pressure{data.avg10(), data.avg60(), data.avg300(), data.total()};
  };
  if (psi.has_some()) some = pressure(psi.some());
  if (psi.has_full()) full = pressure(psi.full());
}

}  // namespace

std::string EncodeMetrics(const CgroupStats& stats) {
  wire::Metrics metrics;
  Encode(kPids, stats, [&] { return metrics.mutable_pids(); });
  Encode(kCpu, stats, [&] { return metrics.mutable_cpu(); });
  Encode(kMemory, stats, [&] { return metrics.mutable_memory(); });
  Encode(kMemoryEvents, stats, [&] { return metrics.mutable_memory_events(); });
  EncodePressures(stats.cpu_some, stats.cpu_full,
                  [&] { return metrics.mutable_cpu()->mutable_psi(); });
  EncodePressures(stats.memory_some, stats.memory_full,
                  [&] { return metrics.mutable_memory()->mutable_psi(); });
  EncodePressures(stats.io_some, stats.io_full,
                  [&] { return metrics.mutable_io()->mutable_psi(); });
  for (const auto& device : stats.io) {
    auto* entry = metrics.mutable_io()->add_usage();
    entry->set_major(device.major);
    entry->set_minor(device.minor);
    entry->set_rbytes(device.rbytes);
    entry->set_wbytes(device.wbytes);
    entry->set_rios(device.rios);
    entry->set_wios(device.wios);
  }
  return metrics.SerializeAsString();
}

Result<CgroupStats> DecodeMetrics(const std::string& bytes) {
  wire::Metrics metrics;
  if (!metrics.ParseFromString(bytes))
    return Error{Code::kProtocol, 0, std::string(kMetricsType) + ": unreadable"};
  CgroupStats stats;
  if (metrics.has_pids()) Decode(kPids, metrics.pids(), stats);
  if (metrics.has_cpu()) Decode(kCpu, metrics.cpu(), stats);
  if (metrics.has_memory()) Decode(kMemory, metrics.memory(), stats);
  if (metrics.has_memory_events()) Decode(kMemoryEvents, metrics.memory_events(), stats);
  DecodePressures(metrics.cpu().psi(), stats.cpu_some, stats.cpu_full);
  DecodePressures(metrics.memory().psi(), stats.memory_some, stats.memory_full);
  DecodePressures(metrics.io().psi(), stats.io_some, stats.io_full);
  for (const auto& entry : metrics.io().usage()) {
    stats.io.push_back(
        {entry.major(), entry.minor(), entry.rbytes(), entry.wbytes(), entry.rios(), entry.wios()});
  }
  return stats;
}

}  // namespace coracle::shim
