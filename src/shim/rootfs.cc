#include "rootfs.h"

#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <ranges>
#include <string_view>

#include "coracle/sys/mount.h"
#include "coracle/sys/path.h"

namespace coracle::shim {
namespace {

struct Option {
  std::string_view name;
  unsigned long set, clear;
};
// Those that snapshotters use; what is not here is the filesystem's own business.
constexpr Option kOptions[] = {
    {"bind", MS_BIND, 0},        {"rbind", MS_BIND | MS_REC, 0},
    {"ro", MS_RDONLY, 0},        {"rw", 0, MS_RDONLY},
    {"nosuid", MS_NOSUID, 0},    {"suid", 0, MS_NOSUID},
    {"nodev", MS_NODEV, 0},      {"dev", 0, MS_NODEV},
    {"noexec", MS_NOEXEC, 0},    {"exec", 0, MS_NOEXEC},
    {"noatime", MS_NOATIME, 0},  {"relatime", MS_RELATIME, 0},
    {"sync", MS_SYNCHRONOUS, 0}, {"defaults", 0, 0},
};

sys::MountArgs MountArgsOf(const RootfsMount& mount) {
  sys::MountArgs args{.source = mount.source, .fstype = mount.type};
  for (const auto& option : mount.options) {
    const auto* known = std::ranges::find(kOptions, option, &Option::name);
    if (known != std::end(kOptions)) {
      args.flags = (args.flags & ~known->clear) | known->set;
    } else {
      args.data += (args.data.empty() ? "" : ",") + option;
    }
  }
  return args;
}

// mount(2) takes one page of options, which the layers of a large image exceed: their common
// directory becomes the working directory, and each layer's path relative to it.
Status ShortenLowerDirs(std::vector<std::string>& options) {
  constexpr std::string_view kKey = "lowerdir=";
  const auto lower = std::ranges::find_if(
      options, [](const std::string& option) { return option.starts_with(kKey); });
  if (lower == options.end()) return {};
  const std::string_view list = std::string_view(*lower).substr(kKey.size());
  // Escaped separators are rare enough to leave such a list as it is.
  if (list.find('\\') != std::string_view::npos) return {};
  std::string prefix(list.substr(0, list.find(':')));
  std::vector<std::string> directories;
  for (const auto part : std::views::split(list, ':')) {
    directories.emplace_back(part.begin(), part.end());
    const auto end = std::ranges::mismatch(prefix, directories.back()).in1;
    prefix.erase(end, prefix.end());
  }
  prefix.erase(prefix.rfind('/') + 1);
  if (prefix.size() < 2) return {};
  if (chdir(prefix.c_str()) != 0) return KernelError("chdir(2) path=" + prefix);
  lower->assign(kKey);
  for (const auto& directory : directories)
    *lower += directory.substr(prefix.size()) + (&directory == &directories.back() ? "" : ":");
  return {};
}

Status MountOne(const std::string& rootfs, RootfsMount mount) {
  constexpr std::size_t kPage = 4096;
  std::size_t size = 0;
  for (const auto& option : mount.options) size += option.size() + 1;
  if (mount.type == "overlay" && size >= kPage) TRY(ShortenLowerDirs(mount.options));
  sys::MountArgs args = MountArgsOf(mount);
  UniqueFd target;
  args.target = rootfs;
  if (!mount.target.empty()) {
    const UniqueFd root = TRY(sys::OpenRoot(rootfs));
    target = TRY(sys::MakeDirectoryInRoot(root.get(), mount.target));
    args.target = sys::FdPath(target.get());
  }
  TRY(sys::mount(args));
  // A bind mount takes only MS_REC at first; the rest needs a remount.
  constexpr unsigned long kBind = MS_BIND | MS_REC;
  if ((args.flags & MS_BIND) == 0 || (args.flags & ~kBind) == 0) return {};
  return sys::mount({.target = args.target, .flags = args.flags | MS_REMOUNT});
}

}  // namespace

Status MountRootfs(const std::string& bundle, const std::vector<RootfsMount>& mounts) {
  for (const auto& mount : mounts) {
    auto mounted = MountOne(bundle + "/rootfs", mount);
    if (mounted) continue;
    (void)UnmountRootfs(bundle);
    return Within("rootfs", std::move(mounted).error());
  }
  return {};
}

Status UnmountRootfs(const std::string& bundle) {
  const std::string rootfs = bundle + "/rootfs";
  for (;;) {
    auto unmounted = sys::umount2(rootfs, UMOUNT_NOFOLLOW);
    // Something is still in use, or mounted below: take the whole tree off.
    if (!unmounted && unmounted.error().errnum == EBUSY)
      unmounted = sys::umount2(rootfs, MNT_DETACH | UMOUNT_NOFOLLOW);
    if (unmounted) continue;  // what it covered may be a mount, too
    const int errnum = unmounted.error().errnum;
    if (errnum == EINVAL || errnum == ENOENT) return {};  // no mount, no directory
    return unmounted;
  }
}

}  // namespace coracle::shim
