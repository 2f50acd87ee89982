#include <algorithm>

#include "validate.h"

namespace coracle::oci {
namespace {

void ValidateDeviceRules(const std::vector<DeviceRule>& rules, const std::string& pointer,
                         Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#allowed-device-list";
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const auto here = At(pointer, i);
    problems.CheckName(At(here, "type"), rules[i].type, {"a", "c", "b"}, kSection);
    if (rules[i].access.find_first_not_of("rwm") != std::string::npos) {
      problems.Add(At(here, "access"),
                   "\"" + rules[i].access + "\" must be made of the letters r, w, m", kSection);
    }
  }
}

void CheckBytes(Problems& problems, const std::string& pointer,
                const std::optional<std::int64_t>& bytes) {
  if (bytes.value_or(0) < -1) {
    problems.Add(pointer, std::to_string(*bytes) + " must be -1 (unlimited) or more",
                 "config-linux.md#memory");
  }
}

void ValidateMemory(const MemoryLimits& memory, const std::string& pointer, Problems& problems) {
  CheckBytes(problems, At(pointer, "limit"), memory.limit);
  CheckBytes(problems, At(pointer, "reservation"), memory.reservation);
  CheckBytes(problems, At(pointer, "swap"), memory.swap);
  if (memory.swappiness.value_or(0) > 100)
    problems.Add(At(pointer, "swappiness"), "must be 0 to 100", "config-linux.md#memory");
}

// "2MB", "1GB", "64KB": the kernel's names of huge page sizes.
bool IsPageSize(std::string_view text) {
  if (text.size() < 3 || text[0] < '1' || text[0] > '9' || !text.ends_with('B')) return false;
  const char unit = text[text.size() - 2];
  if (unit != 'K' && unit != 'M' && unit != 'G') return false;
  return std::ranges::all_of(text.substr(0, text.size() - 2),
                             [](char c) { return c >= '0' && c <= '9'; });
}

void ValidateHugepages(const std::vector<HugepageLimit>& limits, const std::string& pointer,
                       Problems& problems) {
  constexpr std::string_view kSection = "config-linux.md#huge-page-limits";
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < limits.size(); ++i) {
    const auto here = At(At(pointer, i), "pageSize");
    if (!IsPageSize(limits[i].page_size)) {
      problems.Add(here, "\"" + limits[i].page_size + "\" is not a page size such as \"2MB\"",
                   kSection);
    }
    if (!seen.insert(limits[i].page_size).second)
      problems.Add(here, limits[i].page_size + " is given twice", kSection);
  }
}

}  // namespace

void ValidateResources(const Resources& resources, const std::string& pointer, Problems& problems) {
  ValidateDeviceRules(resources.devices, At(pointer, "devices"), problems);
  if (resources.memory) ValidateMemory(*resources.memory, At(pointer, "memory"), problems);
  if (resources.pids_limit.value_or(0) < -1) {
    problems.Add(At(At(pointer, "pids"), "limit"), "must be -1 (unlimited) or more",
                 "config-linux.md#pids");
  }
  ValidateHugepages(resources.hugepage_limits, At(pointer, "hugepageLimits"), problems);
  // A key is the name of a file in the container's own cgroup directory, and must stay in there.
  for (const auto& [file, value] : resources.unified) {
    if (file.find('/') != std::string::npos || file.find('.') == std::string::npos ||
        file.starts_with('.')) {
      problems.Add(At(At(pointer, "unified"), file),
                   "must be the name of a cgroup v2 file such as \"memory.high\"",
                   "config-linux.md#unified");
    }
  }
}

}  // namespace coracle::oci
