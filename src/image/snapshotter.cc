#include "snapshotter.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <set>

#include "coracle/base/file.h"
#include "layer_files.h"

namespace coracle::image {
namespace {

// The merged root shows the attributes of the upper directory: they are those of the image's.
Status MakeUpper(const std::string& upper, const std::string& top_layer) {
  if (::access(upper.c_str(), F_OK) == 0) return {};
  const std::string fresh = upper + ".new";
  TRY(MakeDirectories(fresh, 0755));
  const UniqueFd from(::open(top_layer.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd to(::open(fresh.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!from || !to) return KernelError("open(2) path=" + (from ? fresh : top_layer));
  TRY(CopyDirectoryAttributes(from.get(), to.get()));
  if (::rename(fresh.c_str(), upper.c_str()) != 0) return KernelError("rename(2) to=" + upper);
  return {};
}

// Of one open directory; takes the descriptor.
Status AddUsage(UniqueFd directory, std::set<std::pair<dev_t, ino_t>>& seen, Usage& usage) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(directory.get()), ::closedir);
  if (dir == nullptr) return KernelError("fdopendir(3)");
  const int fd = directory.release();
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    // A running container may remove it under our eyes.
    if (::fstatat(fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (status.st_nlink > 1 && !S_ISDIR(status.st_mode) &&
        !seen.emplace(status.st_dev, status.st_ino).second)
      continue;
    usage.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    ++usage.inodes;
    if (!S_ISDIR(status.st_mode)) continue;
    UniqueFd below(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (below) TRY(AddUsage(std::move(below), seen, usage));
  }
  return {};
}

}  // namespace

Result<Snapshot> MakeSnapshot(const StoreContext& store, const SnapshotRecord& record) {
  std::string lowerdir;
  for (auto layer = record.layers.rbegin(); layer != record.layers.rend(); ++layer)
    lowerdir += (lowerdir.empty() ? "" : ":") + store.LayerDir(std::to_string(*layer));
  const std::string empty = store.LayerDir("empty");
  const std::string top =
      record.layers.empty() ? empty : store.LayerDir(std::to_string(record.layers.back()));
  Snapshot snapshot;
  std::vector<std::string> options;
  if (record.read_only) {
    // Without an upper directory overlayfs wants two lower ones.
    lowerdir += (lowerdir.empty() ? empty : "") + ":" + empty;
    if (record.layers.empty()) lowerdir = empty + ":" + empty;
    options = {"ro"};
  } else {
    const std::string directory = store.SnapshotDir(record.id);
    TRY(MakeDirectories(directory + "/work", 0700));
    TRY(MakeUpper(directory + "/fs", top));
    snapshot.upper_dir = directory + "/fs";
    options = {"index=off", "upperdir=" + directory + "/fs", "workdir=" + directory + "/work"};
  }
  options.push_back("lowerdir=" + lowerdir);
  snapshot.mounts.push_back({"/", "overlay", "overlay", std::move(options), {}, {}});
  return snapshot;
}

Result<Usage> UsageOfTree(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  Usage usage;
  if (!fd) return errno == ENOENT ? Result<Usage>(usage) : KernelError("open(2) path=" + path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return KernelError("fstat(2) path=" + path);
  usage = {static_cast<std::uint64_t>(status.st_blocks) * 512, 1};
  std::set<std::pair<dev_t, ino_t>> seen;
  TRY(AddUsage(std::move(fd), seen, usage));
  return usage;
}

}  // namespace coracle::image
