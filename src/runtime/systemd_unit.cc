#include "systemd_unit.h"

#include <algorithm>
#include <ranges>
#include <string_view>

namespace coracle::runtime {
namespace {

constexpr std::string_view kSlice = ".slice";
constexpr std::string_view kSigns = ":-_.\\@";
constexpr std::size_t kMaxUnitName = 255;

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (auto part : std::views::split(text, separator)) parts.emplace_back(part.begin(), part.end());
  if (parts.empty()) parts.emplace_back();
  return parts;
}

Error BadPath(const std::string& text) {
  return {Code::kInvalidConfig, 0, "config.json: /linux/cgroupsPath: " + text};
}

// systemd.unit(5): the characters of a unit's name.
bool IsUnitName(const std::string& name) {
  return !name.empty() && name.size() <= kMaxUnitName && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kSigns.find(c) != std::string_view::npos;
  });
}

}  // namespace

Result<std::string> SlicePath(const std::string& slice) {
  const Error bad = BadPath("invalid slice name \"" + slice +
                            "\"; allowed is e.g. \"a-b.slice\", which lies in \"a.slice\"");
  if (!slice.ends_with(kSlice) || !IsUnitName(slice)) return bad;
  const std::string name = slice.substr(0, slice.size() - kSlice.size());
  std::string path, prefix;
  if (name == "-") return path;
  for (const std::string& part : Split(name, '-')) {
    if (part.empty()) return bad;
    prefix += (prefix.empty() ? "" : "-") + part;
    path += "/" + prefix + std::string(kSlice);
  }
  return path;
}

Result<SystemdUnit> PlanUnit(const std::string& cgroups_path, const std::string& id,
                             bool user_manager) {
  SystemdUnit unit{.user_manager = user_manager};
  std::vector<std::string> parts = {"", "coracle", id};
  if (!cgroups_path.empty()) parts = Split(cgroups_path, ':');
  if (parts.size() != 3)
    return BadPath(
        "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"" +
        cgroups_path + "\" instead");
  unit.slice = parts[0];
  if (unit.slice.empty()) unit.slice = user_manager ? "user.slice" : "system.slice";
  TRY(SlicePath(unit.slice));
  if (parts[2].ends_with(kSlice))
    return BadPath("got the name \"" + parts[2] +
                   "\"; a slice holds units and no processes, so a container cannot be one");
  unit.name = parts[1] + "-" + parts[2] + ".scope";
  if (parts[2].empty() || !IsUnitName(unit.name))
    return BadPath("invalid unit name \"" + unit.name +
                   "\"; allowed are letters, digits and :-_.\\@, 255 in all");
  return unit;
}

std::vector<UnitProperty> ScopeProperties(const SystemdUnit& unit, const std::string& id) {
  return {{.name = "Description", .signature = "s", .value = "coracle container " + id},
          {.name = "Slice", .signature = "s", .value = unit.slice},
          {.name = "Delegate", .signature = "b", .value = true},
          {.name = "MemoryAccounting", .signature = "b", .value = true},
          {.name = "CPUAccounting", .signature = "b", .value = true},
          {.name = "IOAccounting", .signature = "b", .value = true},
          {.name = "TasksAccounting", .signature = "b", .value = true},
          {.name = "DefaultDependencies", .signature = "b", .value = false}};
}

}  // namespace coracle::runtime
