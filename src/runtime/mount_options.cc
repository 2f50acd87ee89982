#include "mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <optional>

namespace coracle::runtime {
namespace {

// What a row does to the attributes. The four access time modes exclude each other, so that the
// kernel wants MOUNT_ATTR__ATIME cleared whenever one of them is set.
struct AttributeOption {
  std::string_view name;
  std::uint64_t set, clear;
};
constexpr std::array<AttributeOption, 18> kAttributes = {{
    {"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"norelatime", 0, 0},  // relatime is what the kernel does without any of them
    {"nostrictatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
}};

struct PropagationOption {
  std::string_view name;
  unsigned long flags;
};
constexpr std::array<PropagationOption, 8> kPropagation = {{
    {"private", MS_PRIVATE},
    {"rprivate", MS_PRIVATE | MS_REC},
    {"rshared", MS_SHARED | MS_REC},
    {"rslave", MS_SLAVE | MS_REC},
    {"runbindable", MS_UNBINDABLE | MS_REC},
    {"shared", MS_SHARED},
    {"slave", MS_SLAVE},
    {"unbindable", MS_UNBINDABLE},
}};

// Flags of the superblock that fsconfig(2) knows by these names.
constexpr std::array<std::string_view, 7> kSuperblock = {
    "async", "dirsync", "lazytime", "mand", "nolazytime", "nomand", "sync"};

// Without effect on what this program does: `defaults` is the default; `silent` and `loud` are
// about the kernel's log; i_version is the file system's own decision since Linux 5.17.
constexpr std::array<std::string_view, 5> kWithoutEffect = {"defaults", "iversion", "loud",
                                                            "noiversion", "silent"};
// Words of crun that forbid or change how links are followed: to ignore them would be unsafe.
constexpr std::array<std::string_view, 3> kOfAnotherRuntime = {"copy-symlink", "dest-nofollow",
                                                               "src-nofollow"};

struct SwitchOption {
  std::string_view name;
  bool MountOptions::*member;
};
constexpr std::array<SwitchOption, 6> kSwitches = {{
    {"bind", &MountOptions::bind},
    {"idmap", &MountOptions::idmap},
    {"rbind", &MountOptions::recursive_bind},
    {"remount", &MountOptions::remount},
    {"ridmap", &MountOptions::recursive_idmap},
    {"tmpcopyup", &MountOptions::copy_up},
}};

template <class Row, std::size_t kSize>
const Row* Find(const std::array<Row, kSize>& table, std::string_view name) {
  const auto row = std::ranges::find(table, name, &Row::name);
  return row == table.end() ? nullptr : &*row;
}

template <std::size_t kSize>
bool Contains(const std::array<std::string_view, kSize>& table, std::string_view name) {
  return std::ranges::find(table, name) != table.end();
}

// The later option wins, as with mount(8).
void Apply(const AttributeOption& row, std::uint64_t& set, std::uint64_t& clear) {
  set = (set & ~row.clear) | row.set;
  clear = (clear & ~row.set) | row.clear;
}

bool ApplyKnown(const std::string& option, MountOptions& options) {
  if (const auto* row = Find(kAttributes, option)) {
    Apply(*row, options.set, options.clear);
  } else if (const auto* propagation = Find(kPropagation, option)) {
    options.propagation.push_back(propagation->flags);
  } else if (const auto* flag = Find(kSwitches, option)) {
    options.*flag->member = true;
  } else if (Contains(kSuperblock, option)) {
    options.superblock.push_back(option);
  } else if (option.starts_with('r') && Find(kAttributes, option.substr(1)) != nullptr) {
    Apply(*Find(kAttributes, option.substr(1)), options.recursive_set, options.recursive_clear);
  } else {
    return Contains(kWithoutEffect, option);
  }
  return true;
}

// "mode=755" -> {"mode", "755"}. mount(2) would take quotes off the value of an SELinux context,
// which is quoted because of its commas; fsconfig(2) does not.
std::pair<std::string, std::string> SplitData(const std::string& option) {
  const std::size_t equals = option.find('=');
  if (equals == std::string::npos) return {option, ""};
  std::string value = option.substr(equals + 1);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
    value = value.substr(1, value.size() - 2);
  return {option.substr(0, equals), value};
}

// One element of `options` may hold several data options: "mode=755,size=1m". A comma inside
// quotes or after a backslash belongs to the value.
void AddData(const std::string& element, MountOptions& options) {
  std::string option;
  bool quoted = false;
  for (std::size_t i = 0; i <= element.size(); ++i) {
    const bool end = i == element.size();
    if (!end && element[i] == '"') quoted = !quoted;
    const bool escaped = i > 0 && element[i - 1] == '\\';
    if (!end && (element[i] != ',' || quoted || escaped)) {
      option += element[i];
      continue;
    }
    if (!option.empty()) options.data.push_back(SplitData(option));
    option.clear();
  }
}

}  // namespace

Result<MountOptions> ParseMountOptions(const oci::Mount& mount, const std::string& pointer) {
  MountOptions options;
  for (std::size_t i = 0; i < mount.options.size(); ++i) {
    const std::string& option = mount.options[i];
    const std::string here = pointer + "/options/" + std::to_string(i);
    if (option.find('\0') != std::string::npos)
      return Error{Code::kInvalidConfig, EINVAL, here + ": contains a NUL byte"};
    if (Contains(kOfAnotherRuntime, option))
      return Error{Code::kUnsupported, 0, here + ": \"" + option + "\" is not supported"};
    if (!ApplyKnown(option, options)) AddData(option, options);
  }
  options.idmap = options.idmap || options.recursive_idmap;
  options.bind = options.bind || options.recursive_bind || mount.type == "bind";
  return options;
}

std::vector<std::string> KnownMountOptions() {
  std::vector<std::string> names(kSuperblock.begin(), kSuperblock.end());
  names.insert(names.end(), kWithoutEffect.begin(), kWithoutEffect.end());
  for (const auto& row : kAttributes) names.emplace_back(row.name);
  for (const auto& row : kAttributes) names.push_back("r" + std::string(row.name));
  for (const auto& row : kPropagation) names.emplace_back(row.name);
  for (const auto& row : kSwitches) names.emplace_back(row.name);
  std::ranges::sort(names);
  return names;
}

}  // namespace coracle::runtime
