#include "coracle/sys/mount.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace coracle::sys {
namespace {

struct FlagName {
  unsigned long flag;
  std::string_view name;
};
constexpr std::array<FlagName, 25> kMountFlags = {{
    {MS_RDONLY, "MS_RDONLY"},
    {MS_NOSUID, "MS_NOSUID"},
    {MS_NODEV, "MS_NODEV"},
    {MS_NOEXEC, "MS_NOEXEC"},
    {MS_SYNCHRONOUS, "MS_SYNCHRONOUS"},
    {MS_REMOUNT, "MS_REMOUNT"},
    {MS_MANDLOCK, "MS_MANDLOCK"},
    {MS_DIRSYNC, "MS_DIRSYNC"},
    {256UL, "MS_NOSYMFOLLOW"},
    {MS_NOATIME, "MS_NOATIME"},
    {MS_NODIRATIME, "MS_NODIRATIME"},
    {MS_BIND, "MS_BIND"},
    {MS_MOVE, "MS_MOVE"},
    {MS_REC, "MS_REC"},
    {MS_SILENT, "MS_SILENT"},
    {MS_POSIXACL, "MS_POSIXACL"},
    {MS_UNBINDABLE, "MS_UNBINDABLE"},
    {MS_PRIVATE, "MS_PRIVATE"},
    {MS_SLAVE, "MS_SLAVE"},
    {MS_SHARED, "MS_SHARED"},
    {MS_RELATIME, "MS_RELATIME"},
    {MS_KERNMOUNT, "MS_KERNMOUNT"},
    {MS_I_VERSION, "MS_I_VERSION"},
    {MS_STRICTATIME, "MS_STRICTATIME"},
    {MS_LAZYTIME, "MS_LAZYTIME"},
}};
constexpr std::array<FlagName, 9> kAttributes = {{
    {MOUNT_ATTR_RDONLY, "MOUNT_ATTR_RDONLY"},
    {MOUNT_ATTR_NOSUID, "MOUNT_ATTR_NOSUID"},
    {MOUNT_ATTR_NODEV, "MOUNT_ATTR_NODEV"},
    {MOUNT_ATTR_NOEXEC, "MOUNT_ATTR_NOEXEC"},
    {MOUNT_ATTR_NOATIME, "MOUNT_ATTR_NOATIME"},
    {MOUNT_ATTR_STRICTATIME, "MOUNT_ATTR_STRICTATIME"},
    {MOUNT_ATTR_NODIRATIME, "MOUNT_ATTR_NODIRATIME"},
    {MOUNT_ATTR_IDMAP, "MOUNT_ATTR_IDMAP"},
    {MOUNT_ATTR_NOSYMFOLLOW, "MOUNT_ATTR_NOSYMFOLLOW"},
}};

template <std::size_t kSize>
std::string Names(const std::array<FlagName, kSize>& table, unsigned long flags) {
  std::string names;
  const auto add = [&](std::string_view name) {
    if (!names.empty()) names += '|';
    names += name;
  };
  for (const FlagName& flag : table) {
    if ((flags & flag.flag) != flag.flag) continue;
    add(flag.name);
    flags &= ~flag.flag;
  }
  std::array<char, 32> rest{};
  if (flags != 0 && std::snprintf(rest.data(), rest.size(), "0x%lx", flags) > 0) add(rest.data());
  return names.empty() ? "0" : names;
}

// What the filesystem itself says of the failure: "tmpfs: Bad value for 'size'".
std::string KernelLog(int fs_fd) {
  std::string log;
  std::array<char, 512> line{};
  for (;;) {
    const ssize_t size = ::read(fs_fd, line.data(), line.size());
    if (size <= 0) return log;
    std::string_view text(line.data(), static_cast<std::size_t>(size));
    if (text.size() > 2 && text[1] == ' ') text.remove_prefix(2);  // "e ", "w ", "i "
    while (text.ends_with('\n')) text.remove_suffix(1);
    log += " (";
    log += text;
    log += ')';
  }
}

Error FilesystemError(int fs_fd, const std::string& call, const FilesystemArgs& args) {
  const int errnum = errno;
  std::string options;
  for (const auto& [key, value] : args.options)
    options += (options.empty() ? "" : ",") + key + (value.empty() ? "" : "=" + value);
  Error error = KernelError(call + " type=" + args.fstype + " data=" + options, errnum);
  error.message += KernelLog(fs_fd);
  return error;
}

const char* OrNull(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace

std::string MountFlagNames(unsigned long flags) { return Names(kMountFlags, flags); }

Status mount(const MountArgs& args) {
  if (::mount(OrNull(args.source), args.target.c_str(), OrNull(args.fstype), args.flags,
              OrNull(args.data)) == 0)
    return {};
  const int errnum = errno;
  return KernelError("mount(2) source=" + args.source + " target=" + args.target +
                         " type=" + args.fstype + " flags=" + MountFlagNames(args.flags) +
                         " data=" + args.data,
                     errnum);
}

Status umount2(const std::string& target, int flags) {
  if (::umount2(target.c_str(), flags) == 0) return {};
  return KernelError("umount2(2) target=" + target);
}

Status pivot_root(const std::string& new_root, const std::string& put_old) {
  if (::syscall(SYS_pivot_root, new_root.c_str(), put_old.c_str()) == 0) return {};
  return KernelError("pivot_root(2) new_root=" + new_root + " put_old=" + put_old);
}

Result<UniqueFd> NewFilesystem(const FilesystemArgs& args) {
  const UniqueFd fs(::fsopen(args.fstype.c_str(), FSOPEN_CLOEXEC));
  if (!fs) return KernelError("fsopen(2) type=" + args.fstype);
  for (const auto& [key, value] : args.options) {
    const int result =
        value.empty() ? ::fsconfig(fs.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
                      : ::fsconfig(fs.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0);
    if (result != 0) return FilesystemError(fs.get(), "fsconfig(2) option=" + key, args);
  }
  if (::fsconfig(fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return FilesystemError(fs.get(), "fsconfig(2) FSCONFIG_CMD_CREATE", args);
  UniqueFd mounted(::fsmount(fs.get(), FSMOUNT_CLOEXEC, args.attributes));
  if (!mounted)
    return FilesystemError(fs.get(), "fsmount(2) attributes=" + Names(kAttributes, args.attributes),
                           args);
  return mounted;
}

Result<UniqueFd> CloneTree(int fd, bool recursive) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                         (recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  UniqueFd tree(::open_tree(fd, "", flags));
  if (!tree)
    return KernelError(std::string("open_tree(2) flags=OPEN_TREE_CLONE") +
                       (recursive ? "|AT_RECURSIVE" : ""));
  return tree;
}

Status mount_setattr(int fd, const MountAttributes& attributes) {
  struct mount_attr raw {};
  raw.attr_set = attributes.set;
  raw.attr_clr = attributes.clear;
  raw.propagation = attributes.propagation;
  if (attributes.userns_fd >= 0) raw.userns_fd = static_cast<std::uint64_t>(attributes.userns_fd);
  const unsigned flags =
      AT_EMPTY_PATH | (attributes.recursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U);
  if (::mount_setattr(fd, "", flags, &raw, sizeof raw) == 0) return {};
  const int errnum = errno;
  return KernelError("mount_setattr(2) set=" + Names(kAttributes, attributes.set) +
                         " clear=" + Names(kAttributes, attributes.clear) +
                         " propagation=" + MountFlagNames(attributes.propagation) +
                         (attributes.recursive ? " flags=AT_RECURSIVE" : ""),
                     errnum);
}

Status move_mount(int mount_fd, int target_fd, const std::string& target_for_error) {
  if (::move_mount(mount_fd, "", target_fd, "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0)
    return {};
  return KernelError("move_mount(2) target=" + target_for_error);
}

}  // namespace coracle::sys
