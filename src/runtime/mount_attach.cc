// The half of mounts.h that runs in the container process.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "copy_up.h"
#include "coracle/sys/mount.h"
#include "coracle/sys/path.h"
#include "mounts.h"

namespace coracle::runtime {
namespace {

struct Attaching {
  const MountsPlan& plan;
  int root_fd;
  const std::string& cgroup;
};

// What may lie inside /proc: nothing that a runtime or a container trusts is behind these names.
// lxcfs provides most of them. CVE-2019-16884, CVE-2023-27561.
constexpr std::array<std::string_view, 11> kAllowedInProc = {"/proc/cpuinfo",
                                                             "/proc/diskstats",
                                                             "/proc/loadavg",
                                                             "/proc/meminfo",
                                                             "/proc/net/dev",
                                                             "/proc/slabinfo",
                                                             "/proc/stat",
                                                             "/proc/swaps",
                                                             "/proc/sys/crypto/fips_enabled",
                                                             "/proc/uptime",
                                                             "/proc/sys/kernel/ns_last_pid"};

constexpr std::size_t kFsconfigLimit = 255;  // bytes of one fsconfig(2) string

bool IsCgroup(const MountPlan& mount) { return mount.type == "cgroup" || mount.type == "cgroup2"; }

bool IsDirectory(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

bool IsProcfs(int fd) {
  struct statfs filesystem {};
  return ::fstatfs(fd, &filesystem) == 0 && filesystem.f_type == PROC_SUPER_MAGIC;
}

bool IsProcfsRoot(int fd) {
  struct stat status {};
  return IsProcfs(fd) && ::fstat(fd, &status) == 0 && status.st_ino == 1;
}

// By name and by what the name led to: a link to /proc under another name is refused as well.
Status CheckProc(const MountPlan& mount, int tree_fd, int target_fd) {
  const bool named = mount.destination == "/proc" || mount.destination.starts_with("/proc/");
  if (!named && !IsProcfs(target_fd)) return {};
  if (mount.destination == "/proc" && IsProcfsRoot(tree_fd)) return {};
  if (std::ranges::find(kAllowedInProc, mount.destination) != kAllowedInProc.end()) return {};
  return Error{Code::kInvalidConfig, EINVAL,
               "destination=" + mount.destination +
                   ": only a procfs may be mounted on /proc, and inside it only on files like "
                   "/proc/cpuinfo"};
}

// The image's /proc and /sys must be what they seem (CVE-2019-19921): never through a link.
Result<UniqueFd> OpenTarget(const Attaching& attaching, const MountPlan& mount, bool directory) {
  if (!directory) return sys::MakeFileInRoot(attaching.root_fd, mount.destination);
  if (mount.type == "proc" || mount.type == "sysfs") {
    auto there = sys::OpenInRoot(attaching.root_fd, mount.destination, O_PATH | O_NOFOLLOW);
    if (there.has_value() && IsDirectory(there->get())) return there;
    if (there.has_value())
      return Error{Code::kInvalidConfig, ENOTDIR,
                   "destination=" + mount.destination + ": " + mount.type +
                       " must be mounted on an ordinary directory"};
  }
  return sys::MakeDirectoryInRoot(attaching.root_fd, mount.destination);
}

// A file system whose superblock is this mount's alone must be opened read-only, too: its device
// may not allow otherwise.
bool NeedsReadonlySuperblock(const MountPlan& mount) {
  static constexpr std::array<std::string_view, 7> kVirtual = {
      "proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"};
  return (mount.options.set & MOUNT_ATTR_RDONLY) != 0 &&
         std::ranges::find(kVirtual, mount.type) == kVirtual.end();
}

unsigned long SuperblockFlags(const MountPlan& mount) {
  if (NeedsReadonlySuperblock(mount)) return MS_RDONLY;
  return 0;
}

// A tmpfs keeps the mode of the directory that it covers, unless told otherwise.
bool KeepsMode(const MountPlan& mount) {
  const auto is_mode = [](const auto& option) { return option.first == "mode"; };
  return mount.type == "tmpfs" && std::ranges::none_of(mount.options.data, is_mode);
}

void AddMode(const Attaching& attaching, const MountPlan& mount, sys::FilesystemArgs& args) {
  if (!KeepsMode(mount)) return;
  const auto covered = sys::OpenInRoot(attaching.root_fd, mount.destination, O_PATH | O_DIRECTORY);
  struct stat status {};
  if (!covered.has_value() || ::fstat(covered->get(), &status) != 0) return;
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", status.st_mode & 07777);
  args.options.emplace_back("mode", text.data());
}

sys::FilesystemArgs Arguments(const Attaching& attaching, const MountPlan& mount) {
  sys::FilesystemArgs args;
  args.fstype = IsCgroup(mount) ? "cgroup2" : mount.type;
  args.options.emplace_back("source", mount.source.empty() ? mount.type : mount.source);
  for (const std::string& flag : mount.options.superblock) args.options.emplace_back(flag, "");
  // "cgroup" is the name of version 1, whose options mean nothing here.
  if (mount.type != "cgroup")
    args.options.insert(args.options.end(), mount.options.data.begin(), mount.options.data.end());
  if (NeedsReadonlySuperblock(mount)) args.options.emplace_back("ro", "");
  const bool unlabelled =
      mount.type == "proc" || mount.type == "sysfs" || mount.type == "mqueue" || IsCgroup(mount);
  const std::string& label = attaching.plan.label;
  if (!label.empty() && !unlabelled) args.options.emplace_back("context", label);
  AddMode(attaching, mount, args);
  return args;
}

// Where the kernel allows no new instance: a user namespace does not own the namespace that the
// file system shows, which is then the host's and may be shown as the host shows it.
std::string_view HostInstance(const MountsPlan& plan, const MountPlan& mount) {
  if (mount.type == "sysfs" && !plan.new_network) return "/sys";
  if (mount.type == "proc" && !plan.new_pid) return "/proc";
  if (mount.type == "mqueue" && !plan.new_ipc) return "/dev/mqueue";
  return "";
}

Result<UniqueFd> CloneHostPath(const std::string& path) {
  const UniqueFd source = TRY(sys::OpenRoot(path));
  UniqueFd tree = TRY(sys::CloneTree(source.get(), true));
  TRY(sys::mount_setattr(tree.get(), {.propagation = MS_PRIVATE, .recursive = true}));
  return tree;
}

// What a cgroup mount shows without a cgroup namespace; of a container without a cgroup, nothing:
// the host's own, which the caller may own, is none of its business (CVE-2023-25809).
Result<UniqueFd> OwnCgroup(const std::string& path) {
  if (!path.empty()) return CloneHostPath(path);
  return sys::NewFilesystem({.fstype = "tmpfs",
                             .options = {{"source", "tmpfs"}, {"mode", "0555"}, {"nr_inodes", "2"}},
                             .attributes = MOUNT_ATTR_RDONLY});
}

// fsconfig(2) takes no longer strings, mount(2) does (overlay's lowerdir). Not of "cgroup", which
// it would take for version 1, and whose options are not used.
bool NeedsOldMount(const MountPlan& mount) {
  if (mount.type == "cgroup") return false;
  const auto is_long = [](const auto& option) { return option.second.size() > kFsconfigLimit; };
  return mount.source.size() > kFsconfigLimit || std::ranges::any_of(mount.options.data, is_long);
}

std::string JoinData(const std::vector<std::pair<std::string, std::string>>& options) {
  std::string data;
  for (const auto& [key, value] : options) {
    if (!data.empty()) data += ',';
    data += value.empty() ? key : key + "=" + value;
  }
  return data;
}

Status OldMount(const Attaching& attaching, const MountPlan& mount, int target_fd) {
  TRY(sys::mount({.source = mount.source.empty() ? mount.type : mount.source,
                  .target = TRY(sys::VerifiedFdPath(target_fd)),
                  .fstype = mount.type,
                  .flags = SuperblockFlags(mount),
                  .data = JoinData(mount.options.data)}));
  const UniqueFd mounted =
      TRY(sys::OpenInRoot(attaching.root_fd, mount.destination, O_PATH | O_DIRECTORY));
  return SetMountAttributes(mount.options, mounted.get());
}

Result<UniqueFd> NewTree(const Attaching& attaching, const MountPlan& mount,
                         const sys::FilesystemArgs& args) {
  if (IsCgroup(mount) && !attaching.plan.new_cgroup) return OwnCgroup(attaching.cgroup);
  auto tree = sys::NewFilesystem(args);
  if (tree.has_value()) return tree;
  const std::string_view host = HostInstance(attaching.plan, mount);
  if (tree.error().errnum != EPERM || host.empty()) return tree;
  UniqueFd clone = TRY(CloneHostPath(std::string(host)));
  // With /sys come the host's cgroups, which the caller may own (CVE-2023-25809).
  if (host == "/sys")
    TRY(sys::mount_setattr(clone.get(), {.set = MOUNT_ATTR_RDONLY, .recursive = true}));
  return clone;
}

// The file system of an IPC namespace is there before it is mounted, and takes no context= any
// more; its root takes the label. That of the host keeps its own.
Status LabelQueues(const MountsPlan& plan, const MountPlan& mount, int tree_fd) {
  if (plan.label.empty() || mount.type != "mqueue" || !plan.new_ipc) return {};
  const std::string path = TRY(sys::VerifiedFdPath(tree_fd));
  if (::setxattr(path.c_str(), "security.selinux", plan.label.c_str(), plan.label.size(), 0) == 0)
    return {};
  return KernelError("setxattr(2) security.selinux of mqueue value=" + plan.label);
}

Status AttachFilesystem(const Attaching& attaching, const MountPlan& mount, int prepared_fd) {
  sys::FilesystemArgs args;
  if (prepared_fd < 0) args = Arguments(attaching, mount);  // looks at what is there
  const UniqueFd target = TRY(OpenTarget(attaching, mount, true));
  if (NeedsOldMount(mount)) {
    TRY(CheckProc(mount, target.get(), target.get()));
    return OldMount(attaching, mount, target.get());
  }
  const UniqueFd own = prepared_fd >= 0 ? UniqueFd() : TRY(NewTree(attaching, mount, args));
  const int tree_fd = own ? own.get() : prepared_fd;
  TRY(CheckProc(mount, tree_fd, target.get()));
  if (mount.options.copy_up) TRY(CopyUp(target.get(), tree_fd));
  TRY(LabelQueues(attaching.plan, mount, tree_fd));
  TRY(SetMountAttributes(mount.options, tree_fd));
  return sys::move_mount(tree_fd, target.get(), mount.destination);
}

Status AttachBind(const Attaching& attaching, const MountPlan& mount, int source_fd) {
  const UniqueFd own = source_fd >= 0 ? UniqueFd() : TRY(OpenBindSource(attaching.plan, mount));
  const int tree_fd = own ? own.get() : source_fd;
  const UniqueFd target = TRY(OpenTarget(attaching, mount, IsDirectory(tree_fd)));
  TRY(CheckProc(mount, tree_fd, target.get()));
  return sys::move_mount(tree_fd, target.get(), mount.destination);
}

// Changes what is mounted there already; with "bind" only the mount, else the file system as well.
Status Remount(const Attaching& attaching, const MountPlan& mount) {
  const UniqueFd target = TRY(sys::OpenInRoot(attaching.root_fd, mount.destination, O_PATH));
  auto data = mount.options.data;
  for (const std::string& flag : mount.options.superblock) data.emplace_back(flag, "");
  if (!mount.options.bind && (!data.empty() || NeedsReadonlySuperblock(mount)))
    TRY(sys::mount({.source = {},
                    .target = TRY(sys::VerifiedFdPath(target.get())),
                    .fstype = {},
                    .flags = MS_REMOUNT | SuperblockFlags(mount),
                    .data = JoinData(data)}));
  return SetMountAttributes(mount.options, target.get());
}

}  // namespace

bool HasOneMadeInPlace(const MountsPlan& plan) {
  return std::ranges::any_of(plan.mounts, [](const MountPlan& mount) {
    return !mount.options.bind && !mount.options.remount &&
           (NeedsOldMount(mount) || KeepsMode(mount));
  });
}

Status PrepareMounts(const MountsPlan& plan, const std::string& cgroup,
                     std::vector<UniqueFd>& trees) {
  const Attaching attaching{plan, -1, cgroup};
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    const MountPlan& mount = plan.mounts[i];
    if (trees[i] || mount.options.remount) continue;
    auto tree = mount.options.bind ? OpenBindSource(plan, mount)
                                   : NewTree(attaching, mount, Arguments(attaching, mount));
    if (!tree.has_value()) return Within(mount.pointer, std::move(tree).error());
    trees[i] = *std::move(tree);
  }
  return {};
}

Status AttachMounts(const MountsPlan& plan, const std::vector<UniqueFd>& trees, int root_fd,
                    const std::string& cgroup) {
  const Attaching attaching{plan, root_fd, cgroup};
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    const MountPlan& mount = plan.mounts[i];
    Status status = mount.options.remount ? Remount(attaching, mount)
                    : mount.options.bind  ? AttachBind(attaching, mount, trees[i].get())
                                          : AttachFilesystem(attaching, mount, trees[i].get());
    if (!status.has_value()) return Within(mount.pointer, std::move(status).error());
  }
  return {};
}

}  // namespace coracle::runtime
