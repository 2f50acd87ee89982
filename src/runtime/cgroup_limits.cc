#include "cgroup_limits.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <string_view>
#include <utility>

#include "coracle/base/json.h"

namespace coracle::runtime {
namespace {

// -1 is how the specification says "no limit".
std::string LimitText(std::int64_t value) { return value < 0 ? "max" : std::to_string(value); }

std::string DeviceText(std::int64_t major, std::int64_t minor) {
  return std::to_string(major) + ":" + std::to_string(minor);
}

class LimitPlanner {
 public:
  LimitPlanner(const oci::Resources& resources, const std::string& pointer)
      : resources_(resources), pointer_(pointer) {}

  LimitWrites Plan() {
    if (resources_.cpu.has_value()) PlanCpu(*resources_.cpu);
    if (resources_.block_io.has_value()) PlanBlockIo(*resources_.block_io);
    PlanHugepages();
    PlanRdma();
    RefuseNetwork();
    if (resources_.pids_limit.has_value()) {
      Last({.file = "pids.max",
            .text = LimitText(*resources_.pids_limit),
            .pointer = pointer_ + "/pids/limit"});
    }
    if (resources_.memory.has_value()) PlanMemory(*resources_.memory);
    PlanUnified();
    return std::move(out_);
  }

 private:
  void First(CgroupWrite write) { out_.limits.push_back(std::move(write)); }
  void Last(CgroupWrite write) { out_.last_limits.push_back(std::move(write)); }
  void Problem(const std::string& member, const std::string& text) {
    out_.problems.push_back(pointer_ + member + ": " + text);
  }
  void OnlyInV1(const std::string& member) {
    Problem(member, "cgroup v1 only, there is nothing like it in cgroup v2; leave it out");
  }

  void PlanCpu(const oci::CpuLimits& cpu) {
    const std::string at = pointer_ + "/cpu";
    if (cpu.realtime_runtime_us.value_or(0) != 0) OnlyInV1("/cpu/realtimeRuntime");
    if (cpu.realtime_period_us.value_or(0) != 0) OnlyInV1("/cpu/realtimePeriod");
    PlanCpuShare(cpu, at);
    PlanCpuBandwidth(cpu, at);
    if (!cpu.cpus.empty())
      First({.file = "cpuset.cpus", .text = cpu.cpus, .pointer = at + "/cpus"});
    if (!cpu.mems.empty())
      First({.file = "cpuset.mems", .text = cpu.mems, .pointer = at + "/mems"});
  }

  // The kernel refuses a weight for an idle group: leave idle first, enter it last.
  void PlanCpuShare(const oci::CpuLimits& cpu, const std::string& at) {
    if (cpu.idle.has_value() && *cpu.idle != 0 && *cpu.idle != 1)
      Problem("/cpu/idle", "got " + std::to_string(*cpu.idle) + "; allowed are 0 and 1");
    const CgroupWrite idle = {
        .file = "cpu.idle", .text = std::to_string(cpu.idle.value_or(0)), .pointer = at + "/idle"};
    if (cpu.idle == 0) First(idle);
    if (cpu.shares.value_or(0) != 0) {
      First({.file = "cpu.weight",
             .text = std::to_string(CpuWeight(*cpu.shares)),
             .pointer = at + "/shares"});
    }
    if (cpu.idle == 1) First(idle);
  }

  // A burst above the quota is refused. So a new burst goes first, for a quota that shrinks, and
  // once more after the quota, for one that grows. cpu.max without a period keeps the period.
  void PlanCpuBandwidth(const oci::CpuLimits& cpu, const std::string& at) {
    const bool has_quota = cpu.quota_us.value_or(0) != 0;
    const bool has_period = cpu.period_us.value_or(0) != 0;
    const CgroupWrite burst = {.file = "cpu.max.burst",
                               .text = std::to_string(cpu.burst_us.value_or(0)),
                               .pointer = at + "/burst"};
    if (has_quota || has_period) {
      if (cpu.burst_us.has_value()) {
        First(burst);
        out_.limits.back().tolerated_errno = EINVAL;
      }
      std::string text = has_quota ? LimitText(*cpu.quota_us) : "max";
      if (has_period) text += " " + std::to_string(*cpu.period_us);
      First({.file = "cpu.max", .text = text, .pointer = at + (has_quota ? "/quota" : "/period")});
    }
    if (cpu.burst_us.has_value()) First(burst);
  }

  void PlanMemory(const oci::MemoryLimits& memory) {
    const std::string at = pointer_ + "/memory";
    if (memory.swappiness.has_value()) OnlyInV1("/memory/swappiness");
    if (memory.disable_oom_killer.value_or(false)) OnlyInV1("/memory/disableOOMKiller");
    if (memory.reservation.value_or(0) != 0) {
      First({.file = "memory.low",
             .text = LimitText(*memory.reservation),
             .pointer = at + "/reservation"});
    }
    PlanSwap(memory, at);
    if (memory.limit.value_or(0) != 0) {
      Last({.file = "memory.max", .text = LimitText(*memory.limit), .pointer = at + "/limit"});
    }
  }

  // The specification's swap is memory plus swap; cgroup v2's is swap alone. Without swap in the
  // kernel there is no file, and neither "max" nor "0" needs one.
  void PlanSwap(const oci::MemoryLimits& memory, const std::string& at) {
    const std::int64_t limit = memory.limit.value_or(0);
    const std::int64_t both = memory.swap.value_or(0);
    std::string text;
    if (both < 0 || (both == 0 && limit < 0)) {
      text = "max";
    } else if (both == 0) {
      return;
    } else if (limit <= 0) {
      return Problem("/memory/swap", "unable to set swap limit without memory limit");
    } else if (both < limit) {
      return Problem("/memory/swap", "got " + std::to_string(both) +
                                         "; memory+swap limit should be >= memory limit " +
                                         std::to_string(limit));
    } else {
      text = std::to_string(both - limit);
    }
    First({.file = "memory.swap.max",
           .text = text,
           .pointer = at + (both == 0 ? "/limit" : "/swap"),
           .if_exists = text == "max" || text == "0"});
  }

  // BFQ has a file of its own, on the scale of the specification; else io.weight.
  void PlanIoWeight(const std::string& device, std::uint16_t weight, const std::string& member) {
    if (weight < 10 || weight > 1000)
      return Problem(member, "got " + std::to_string(weight) + "; allowed are 10 to 1000");
    const std::uint64_t converted = 1 + (std::uint64_t{weight} - 10) * 9999 / 990;
    First({.file = "io.bfq.weight",
           .text = device + std::to_string(weight),
           .pointer = pointer_ + member,
           .if_exists = true});
    First({.file = "io.weight",
           .text = device + std::to_string(converted),
           .pointer = pointer_ + member,
           .unless = "io.bfq.weight"});
  }

  void PlanThrottle(const std::vector<oci::ThrottleDevice>& devices, const char* key,
                    const std::string& member) {
    for (std::size_t i = 0; i < devices.size(); ++i) {
      const std::string rate = devices[i].rate == 0 ? "max" : std::to_string(devices[i].rate);
      First({.file = "io.max",
             .text = DeviceText(devices[i].major, devices[i].minor) + " " + key + "=" + rate,
             .pointer = pointer_ + member + "/" + std::to_string(i)});
    }
  }

  void PlanBlockIo(const oci::BlockIoLimits& io) {
    if (io.leaf_weight.value_or(0) != 0) OnlyInV1("/blockIO/leafWeight");
    if (io.weight.value_or(0) != 0) PlanIoWeight("", *io.weight, "/blockIO/weight");
    for (std::size_t i = 0; i < io.weight_device.size(); ++i) {
      const oci::WeightDevice& device = io.weight_device[i];
      const std::string member = "/blockIO/weightDevice/" + std::to_string(i);
      if (device.leaf_weight.value_or(0) != 0) OnlyInV1(member + "/leafWeight");
      if (device.weight.value_or(0) != 0)
        PlanIoWeight(DeviceText(device.major, device.minor) + " ", *device.weight,
                     member + "/weight");
    }
    PlanThrottle(io.throttle_read_bps_device, "rbps", "/blockIO/throttleReadBpsDevice");
    PlanThrottle(io.throttle_write_bps_device, "wbps", "/blockIO/throttleWriteBpsDevice");
    PlanThrottle(io.throttle_read_iops_device, "riops", "/blockIO/throttleReadIOPSDevice");
    PlanThrottle(io.throttle_write_iops_device, "wiops", "/blockIO/throttleWriteIOPSDevice");
  }

  // The reservation limit stops an mmap(2) that the page limit would answer with SIGBUS later;
  // older kernels do not have it.
  void PlanHugepages() {
    for (std::size_t i = 0; i < resources_.hugepage_limits.size(); ++i) {
      const oci::HugepageLimit& limit = resources_.hugepage_limits[i];
      const std::string member = "/hugepageLimits/" + std::to_string(i);
      if (limit.page_size.empty() || limit.page_size.find('/') != std::string::npos) {
        Problem(member + "/pageSize", "got \"" + limit.page_size + "\"; allowed is e.g. \"2MB\"");
        continue;
      }
      const std::string file = "hugetlb." + limit.page_size;
      const std::string text = std::to_string(limit.limit);
      const std::string at = pointer_ + member;
      First({.file = file + ".max", .text = text, .pointer = at});
      First({.file = file + ".rsvd.max", .text = text, .pointer = at, .if_exists = true});
    }
  }

  void PlanRdma() {
    for (const auto& [device, limit] : resources_.rdma) {
      std::string text = device;
      if (limit.hca_handles.has_value())
        text += " hca_handle=" + std::to_string(*limit.hca_handles);
      if (limit.hca_objects.has_value())
        text += " hca_object=" + std::to_string(*limit.hca_objects);
      if (text == device) continue;
      First({.file = "rdma.max",
             .text = text,
             .pointer = pointer_ + "/rdma/" + EscapeJsonPointer(device)});
    }
  }

  void RefuseNetwork() {
    if (!resources_.network.has_value()) return;
    if (resources_.network->class_id.value_or(0) != 0) OnlyInV1("/network/classID");
    if (!resources_.network->priorities.empty()) OnlyInV1("/network/priorities");
  }

  // Line by line, since files like io.max take one device per write(2).
  void PlanUnified() {
    for (const auto& [file, text] : resources_.unified) {
      const std::string member = "/unified/" + EscapeJsonPointer(file);
      if (!IsUnifiedFile(file)) {
        Problem(member,
                "not a limit; allowed are CONTROLLER.PARAMETER files such as \"memory.high\", "
                "without a slash, and cgroup.max.depth, cgroup.max.descendants, cgroup.pressure");
        continue;
      }
      const bool last = file.starts_with("memory.") || file.starts_with("pids.");
      std::string_view rest = text;
      do {
        const auto end = std::min(rest.find('\n'), rest.size());
        CgroupWrite write = {
            .file = file, .text = std::string(rest.substr(0, end)), .pointer = pointer_ + member};
        rest.remove_prefix(std::min(end + 1, rest.size()));
        last ? Last(std::move(write)) : First(std::move(write));
      } while (!rest.empty());
    }
  }

  // cgroup.procs, cgroup.kill, cgroup.freeze and the like move or stop processes, also others'.
  static bool IsUnifiedFile(const std::string& file) {
    constexpr std::array<std::string_view, 3> kCore = {"cgroup.max.depth", "cgroup.max.descendants",
                                                       "cgroup.pressure"};
    const auto dot = file.find('.');
    if (dot == 0 || dot == std::string::npos || dot + 1 == file.size()) return false;
    if (file.find('/') != std::string::npos || file.find('\0') != std::string::npos) return false;
    return !file.starts_with("cgroup.") || std::ranges::find(kCore, file) != kCore.end();
  }

  const oci::Resources& resources_;
  const std::string& pointer_;
  LimitWrites out_;
};

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text.empty() ? "none" : text;
}

}  // namespace

LimitWrites PlanLimits(const oci::Resources& resources, const std::string& pointer) {
  return LimitPlanner(resources, pointer).Plan();
}

std::vector<std::string> DropUnavailable(std::vector<CgroupWrite>& writes,
                                         const std::vector<std::string>& controllers,
                                         const std::string& where) {
  std::vector<std::string> missing;
  std::erase_if(writes, [&](const CgroupWrite& write) {
    const std::string controller = ControllerOf(write.file);
    if (controller.empty() || std::ranges::find(controllers, controller) != controllers.end())
      return false;
    if (write.if_exists || write.text.starts_with("max")) return true;
    std::string line = write.pointer + ": needs the cgroup controller \"" + controller +
                       "\" (file " + write.file + "), which " + where +
                       " does not have (it has: " + Joined(controllers) + ")";
    if (missing.empty() || missing.back() != line) missing.push_back(std::move(line));
    return true;
  });
  return missing;
}

std::string ControllerOf(const std::string& file) {
  const std::string name = file.substr(0, file.find('.'));
  return name == "cgroup" ? "" : name;
}

std::uint64_t CpuWeight(std::uint64_t shares) {
  constexpr std::uint64_t kLeast = 2;
  constexpr std::uint64_t kMost = 262144;
  if (shares <= kLeast) return 1;
  if (shares >= kMost) return 10000;
  const double l = std::log2(static_cast<double>(shares));
  return static_cast<std::uint64_t>(
      std::ceil(std::pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0)));
}

}  // namespace coracle::runtime
