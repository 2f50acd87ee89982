#include "rootfs.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <ranges>
#include <string_view>

#include "coracle/sys/mount.h"
#include "coracle/sys/mountinfo.h"
#include "coracle/sys/path.h"
#include "spec_namespaces.h"

namespace coracle::runtime {
namespace {

struct Propagation {
  std::string_view name;
  unsigned long flags;
};
// The specification names four; the others are runc's, and callers use them.
constexpr std::array<Propagation, 9> kPropagation = {{
    {"", 0},
    {"shared", MS_SHARED},
    {"slave", MS_SLAVE},
    {"private", MS_PRIVATE},
    {"unbindable", MS_UNBINDABLE},
    {"rshared", MS_SHARED | MS_REC},
    {"rslave", MS_SLAVE | MS_REC},
    {"rprivate", MS_PRIVATE | MS_REC},
    {"runbindable", MS_UNBINDABLE | MS_REC},
}};

bool IsShared(const RootfsPlan& plan) { return (plan.propagation & MS_SHARED) != 0; }

// What keeps mounts made here from reaching the host: slaves still see what the host mounts later.
unsigned long IsolatingFlag(const RootfsPlan& plan) {
  return (plan.propagation & (MS_PRIVATE | MS_UNBINDABLE)) != 0 ? MS_PRIVATE : MS_SLAVE;
}

Result<std::uint64_t> MountId(int fd) {
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &status) != 0)
    return KernelError("statx(2) STATX_MNT_ID");
  return status.stx_mnt_id;
}

// move_mount(2) and pivot_root(2) propagate to, or refuse, a shared parent mount.
Status MakeParentPrivate(int target_fd) {
  const std::uint64_t id = TRY(MountId(target_fd));
  const auto mounts = TRY(sys::ReadMountInfo());
  const auto parent = std::ranges::find_if(
      mounts, [id](const sys::MountInfo& mount) { return std::cmp_equal(mount.id, id); });
  if (parent == mounts.end())
    return Error{Code::kKernel, ENOENT, "mountinfo lacks the mount that root.path lies on"};
  return sys::mount(
      {.source = {}, .target = parent->mount_point, .fstype = {}, .flags = MS_PRIVATE, .data = {}});
}

// Since Linux 6.15 a mount may be attached inside a detached tree.
Status CheckDetachedMounts() {
  utsname name{};
  unsigned major = 0;
  unsigned minor = 0;
  if (::uname(&name) != 0 || std::sscanf(name.release, "%u.%u", &major, &minor) != 2)
    return KernelError("uname(2)");
  if (std::pair(major, minor) >= std::pair(6U, 15U)) return {};
  return Error{Code::kUnsupported, ENOTSUP,
               "/linux/namespaces: without a mount namespace every mount would be one of the host; "
               "add {\"type\": \"mount\"}, or use Linux 6.15"};
}

// That of the caller: none is given, or that one by its path.
bool SharesMountNamespace(const oci::Spec& spec) {
  const oci::Namespace* given = FindNamespace(spec, "mount");
  if (given == nullptr || given->path.empty()) return given == nullptr;
  struct stat theirs {
  }, ours{};
  return ::stat(given->path.c_str(), &theirs) == 0 && ::stat("/proc/self/ns/mnt", &ours) == 0 &&
         theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

bool IsBelow(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory + "/");
}

// Without pivot_root the host's mounts stay in the namespace: a full procfs or sysfs among them
// would let a container mount its own beside the masks.
Status HideHostKernelFilesystems(const RootfsPlan& plan) {
  for (const auto& mount : TRY(sys::ReadMountInfo()) | std::views::reverse) {
    const bool kernel = mount.fstype == "proc" || mount.fstype == "sysfs";
    if (!kernel || mount.root != "/" || IsBelow(mount.mount_point, plan.path)) continue;
    if (sys::umount2(mount.mount_point, MNT_DETACH).has_value()) continue;
    TRY(sys::mount({.source = "tmpfs",
                    .target = mount.mount_point,
                    .fstype = "tmpfs",
                    .flags = MS_RDONLY,
                    .data = "size=0k"}));
  }
  return {};
}

}  // namespace

Result<RootfsPlan> PlanRootfs(const oci::Spec& spec, const std::string& bundle) {
  if (!spec.root.has_value() || spec.root->path.empty())
    return Error{Code::kInvalidConfig, EINVAL, "/root/path: required, but missing"};
  RootfsPlan plan;
  plan.detached = SharesMountNamespace(spec);
  if (plan.detached && FindNamespace(spec, "user") != nullptr)
    return Error{Code::kUnsupported, ENOTSUP,
                 "/linux/namespaces: a user namespace may not mount in the host's mount namespace; "
                 "add {\"type\": \"mount\"}"};
  const std::filesystem::path path = std::filesystem::path(bundle) / spec.root->path;
  plan.path = path.lexically_normal().string();
  while (plan.path.size() > 1 && plan.path.ends_with('/')) plan.path.pop_back();
  plan.readonly = spec.root->readonly;
  const std::string& name = spec.linux_.rootfs_propagation;
  const auto row = std::ranges::find(kPropagation, name, &Propagation::name);
  if (row == kPropagation.end())
    return Error{Code::kInvalidConfig, EINVAL,
                 "/linux/rootfsPropagation: \"" + name +
                     "\" is not one of shared, slave, private, unbindable (or r and one of these)"};
  plan.propagation = row->flags;
  return plan;
}

Result<UniqueFd> CloneRoot(const RootfsPlan& plan) {
  const UniqueFd directory = TRY(sys::OpenRoot(plan.path));
  UniqueFd tree = TRY(sys::CloneTree(directory.get(), true));
  // The root itself must not be shared yet: what is mounted on it would appear on the host.
  if (IsShared(plan) || plan.detached)
    TRY(sys::mount_setattr(tree.get(), {.propagation = MS_PRIVATE, .recursive = plan.detached}));
  else
    TRY(sys::mount_setattr(tree.get(), {.propagation = IsolatingFlag(plan), .recursive = true}));
  return tree;
}

Status IsolateMounts(const RootfsPlan& plan) {
  if (plan.detached) return {};   // they are the host's
  if (IsShared(plan)) return {};  // AttachRoot closes off the one mount that matters
  return sys::mount({.source = {},
                     .target = "/",
                     .fstype = {},
                     .flags = IsolatingFlag(plan) | MS_REC,
                     .data = {}});
}

Status EnterRoot(int root_fd) {
  if (::fchdir(root_fd) != 0) return KernelError("fchdir(2) to the container's root");
  if (::chroot(".") != 0) return KernelError("chroot(2) to the container's root");
  return {};
}

Status AttachRoot(const RootfsPlan& plan, int root_fd) {
  if (plan.detached) return CheckDetachedMounts();
  auto target = sys::OpenRoot(plan.path);
  // A user namespace's root may not be allowed to walk to root.path: then "/" serves as well,
  // since from here on the root is reached by descriptor only.
  if (!target.has_value() && target.error().errnum == EACCES) target = sys::OpenRoot("/");
  const UniqueFd target_fd = TRY(std::move(target));
  if (IsShared(plan)) TRY(MakeParentPrivate(target_fd.get()));
  return sys::move_mount(root_fd, target_fd.get(), plan.path);
}

Status PivotRoot(const RootfsPlan& plan, int root_fd) {
  if (plan.detached) return EnterRoot(root_fd);
  const UniqueFd old_root = TRY(sys::OpenRoot("/"));
  if (::fchdir(root_fd) != 0) return KernelError("fchdir(2) path=" + plan.path);
  // The old root comes to lie on the new one, and "." in umount2 means the topmost mount there:
  // pivot_root(2), "pivot_root(".", ".")".
  TRY(sys::pivot_root(".", "."));
  if (IsShared(plan))  // or the umount would propagate to the host
    TRY(sys::mount_setattr(old_root.get(), {.propagation = MS_SLAVE, .recursive = true}));
  TRY(sys::umount2(".", MNT_DETACH));
  if (::chdir("/") != 0) return KernelError("chdir(2) path=/");
  return {};
}

Status MoveRoot(const RootfsPlan& plan, int root_fd) {
  if (plan.detached) return EnterRoot(root_fd);
  TRY(HideHostKernelFilesystems(plan));
  if (::fchdir(root_fd) != 0) return KernelError("fchdir(2) path=" + plan.path);
  TRY(sys::mount({.source = ".", .target = "/", .fstype = {}, .flags = MS_MOVE, .data = {}}));
  if (::chroot(".") != 0) return KernelError("chroot(2) path=" + plan.path);
  if (::chdir("/") != 0) return KernelError("chdir(2) path=/");
  return {};
}

Status SealRoot(const RootfsPlan& plan, int root_fd) {
  const unsigned long type = plan.propagation & ~static_cast<unsigned long>(MS_REC);
  if (type != 0 && type != MS_PRIVATE)
    TRY(sys::mount_setattr(root_fd,
                           {.propagation = type, .recursive = (plan.propagation & MS_REC) != 0}));
  if (plan.readonly) TRY(sys::mount_setattr(root_fd, {.set = MOUNT_ATTR_RDONLY}));
  return {};
}

Status VerifyRoot(int root_fd) {
  const UniqueFd slash = TRY(sys::OpenRoot("/"));
  struct stat wanted {
  }, actual{};
  if (::fstat(root_fd, &wanted) != 0 || ::fstat(slash.get(), &actual) != 0)
    return KernelError("fstat(2) of the root");
  const bool same = wanted.st_dev == actual.st_dev && wanted.st_ino == actual.st_ino &&
                    TRY(MountId(root_fd)) == TRY(MountId(slash.get()));
  if (!same) return Error{Code::kKernel, EXDEV, "\"/\" is not the container's root file system"};
  // The kernel's own answer: glibc would replace "(unreachable)" by an error.
  std::array<char, PATH_MAX> cwd{};
  if (::syscall(SYS_getcwd, cwd.data(), cwd.size()) < 0) return KernelError("getcwd(2)");
  if (cwd.front() != '/')
    return Error{Code::kKernel, EXDEV, "the working directory lies outside the container's root"};
  return {};
}

}  // namespace coracle::runtime
