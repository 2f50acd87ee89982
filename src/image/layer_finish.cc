// What an unpacked layer needs from the layers below it.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>

#include "coracle/sys/path.h"
#include "layer.h"
#include "layer_files.h"

namespace coracle::image {
namespace {

// A parent that the tar did not list is in overlayfs's eyes a changed directory: it gets the
// attributes that the directory has below.
Status InheritDirectory(const std::string& path, int root_fd, int lower_fd) {
  const Result<UniqueFd> lower = sys::OpenInRoot(lower_fd, path, O_RDONLY | O_DIRECTORY);
  if (!lower.has_value()) return {};  // new in this layer
  const Result<UniqueFd> ours = sys::OpenInRoot(root_fd, path, O_RDONLY | O_DIRECTORY);
  if (!ours.has_value()) return {};  // replaced by something else later in the tar
  return CopyDirectoryAttributes(lower->get(), ours->get());
}

Status MaterialiseLink(const UnpackedLayer::Link& link, int root_fd, int lower_fd) {
  const sys::Parent to = TRY(sys::OpenParentInRoot(root_fd, link.path, false));
  struct stat status {};
  if (::fstatat(to.directory.get(), to.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
    return {};  // a later entry of the same name
  // Another link to the same lower file may have brought it into this layer already.
  Status linked = LinkInLayer(root_fd, link.target, to.directory.get(), to.name);
  if (linked.has_value() || linked.error().errnum != ENOENT) return linked;
  if (lower_fd >= 0) {
    const Result<sys::Parent> from = sys::OpenParentInRoot(lower_fd, link.target, false);
    if (from.has_value() &&
        ::fstatat(from->directory.get(), from->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      if (S_ISDIR(status.st_mode))
        return Error{Code::kInvalidConfig, EPERM,
                     "entry " + link.path + ": a hard link to the directory " + link.target};
      return CopyNode({from->directory.get(), from->name}, {to.directory.get(), to.name});
    }
  }
  return Error{Code::kInvalidConfig, ENOENT,
               "entry " + link.path + ": a hard link to " + link.target +
                   ", which is in no layer up to this one"};
}

// An opaque root hides all that is below it: entry by entry, since overlayfs does not look at the
// xattr there.
Status HideLowerRoot(int root_fd, int lower_fd) {
  UniqueFd listing = TRY(sys::Reopen(lower_fd, O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(listing.get()), ::closedir);
  if (dir == nullptr) return KernelError("fdopendir(3) lower root");
  (void)listing.release();
  const UniqueFd root = TRY(sys::OpenInRoot(root_fd, ".", O_RDONLY | O_DIRECTORY));
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    if (::fstatat(root.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      TRY(MakeWhiteout(root.get(), name));
    } else if (S_ISDIR(status.st_mode)) {
      TRY(SetOpaque(root.get(), name));
    }
  }
  return {};
}

}  // namespace

Status FinishLayer(const UnpackedLayer& layer, int root_fd, int lower_fd) {
  for (const UnpackedLayer::Link& link : layer.missing_links)
    TRY(MaterialiseLink(link, root_fd, lower_fd));
  if (lower_fd >= 0) {
    if (layer.root_opaque) TRY(HideLowerRoot(root_fd, lower_fd));
    if (!layer.root_listed) TRY(InheritDirectory(".", root_fd, lower_fd));
  }
  for (auto path = layer.implied_directories.rbegin();
       lower_fd >= 0 && path != layer.implied_directories.rend(); ++path)
    TRY(InheritDirectory(*path, root_fd, lower_fd));
  for (const auto& [path, mtime] : layer.directory_times) {
    const Result<UniqueFd> fd = sys::OpenInRoot(root_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd.has_value()) continue;  // replaced later in the tar
    const timespec times[2] = {mtime, mtime};
    if (::futimens(fd->get(), times) != 0) return KernelError("futimens(2) entry=" + path);
  }
  return {};
}

}  // namespace coracle::image
