#include "masked_paths.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <filesystem>

#include "coracle/sys/mount.h"
#include "coracle/sys/path.h"
#include "devices.h"

namespace coracle::runtime {
namespace {

Result<std::vector<std::string>> CleanPaths(const std::vector<std::string>& paths,
                                            const std::string& pointer) {
  std::vector<std::string> clean;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (!paths[i].starts_with('/'))
      return Error{Code::kInvalidConfig, EINVAL,
                   pointer + "/" + std::to_string(i) + ": \"" + paths[i] + "\" is not absolute"};
    std::string path = std::filesystem::path(paths[i]).lexically_normal().string();
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    if (std::ranges::find(clean, path) == clean.end()) clean.push_back(std::move(path));
  }
  return clean;
}

// The host's /dev/null as itself: a container's own could be anything.
Result<UniqueFd> OpenNull(int devtmpfs) {
  UniqueFd null = TRY(OpenHostDevice("/dev/null", devtmpfs));
  struct stat status {};
  if (::fstat(null.get(), &status) != 0) return KernelError("fstat(2) path=/dev/null");
  if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))
    return Error{Code::kKernel, ENODEV, "/dev/null of the host is not the null device"};
  return null;
}

// One superblock for all masked directories: each further one is a clone of the first, attached.
class Masks {
 public:
  Masks(int root_fd, int devtmpfs) : root_fd_(root_fd), devtmpfs_(devtmpfs) {}

  Status Cover(const std::string& path) {
    const auto target = sys::OpenInRoot(root_fd_, path, O_PATH | O_NOFOLLOW);
    if (!target.has_value()) {
      if (target.error().errnum == ENOENT || target.error().errnum == ENOTDIR) return {};
      return target.error();
    }
    struct stat status {};
    if (::fstat(target->get(), &status) != 0) return KernelError("fstat(2) path=" + path);
    if (S_ISLNK(status.st_mode))
      return Error{Code::kKernel, ELOOP, path + ": a masked path must not be a symbolic link"};
    const UniqueFd tree = S_ISDIR(status.st_mode) ? TRY(EmptyDirectory()) : TRY(Null());
    TRY(sys::move_mount(tree.get(), target->get(), path));
    if (S_ISDIR(status.st_mode) && !first_directory_)
      first_directory_ = TRY(sys::OpenInRoot(root_fd_, path, O_PATH | O_DIRECTORY));
    return {};
  }

 private:
  Result<UniqueFd> Null() {
    if (!null_) null_ = TRY(OpenNull(devtmpfs_));
    return sys::CloneTree(null_.get(), false);
  }
  Result<UniqueFd> EmptyDirectory() {
    if (first_directory_) return sys::CloneTree(first_directory_.get(), false);
    return sys::NewFilesystem(
        {.fstype = "tmpfs",
         .options = {{"source", "tmpfs"}, {"mode", "0555"}, {"nr_inodes", "2"}},
         .attributes =
             MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC});
  }

  int root_fd_, devtmpfs_;
  UniqueFd null_, first_directory_;
};

Status MakeReadonly(int root_fd, const std::string& path) {
  const auto target = sys::OpenInRoot(root_fd, path, O_PATH);
  if (!target.has_value()) {
    if (target.error().errnum == ENOENT || target.error().errnum == ENOTDIR) return {};
    return target.error();
  }
  const UniqueFd tree = TRY(sys::CloneTree(target->get(), true));
  TRY(sys::mount_setattr(tree.get(), {.set = MOUNT_ATTR_RDONLY, .recursive = true}));
  return sys::move_mount(tree.get(), target->get(), path);
}

}  // namespace

Result<MaskedPathsPlan> PlanMaskedPaths(const oci::Spec& spec) {
  MaskedPathsPlan plan;
  plan.masked = TRY(CleanPaths(spec.linux_.masked_paths, "/linux/maskedPaths"));
  plan.readonly = TRY(CleanPaths(spec.linux_.readonly_paths, "/linux/readonlyPaths"));
  return plan;
}

Status MaskPaths(const MaskedPathsPlan& plan, int root_fd, int devtmpfs) {
  Masks masks(root_fd, devtmpfs);
  for (const std::string& path : plan.masked) TRY(masks.Cover(path));
  return {};
}

Status MakeReadonlyPaths(const MaskedPathsPlan& plan, int root_fd) {
  for (const std::string& path : plan.readonly) TRY(MakeReadonly(root_fd, path));
  return {};
}

}  // namespace coracle::runtime
