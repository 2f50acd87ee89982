#include "layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <functional>

#include "coracle/base/file.h"
#include "coracle/sys/path.h"
#include "layer_files.h"
#include "tar_stream.h"

namespace coracle::image {
namespace {

constexpr std::uint64_t kMaxEntries = 2'000'000;
constexpr int kMaxXattrs = 64;  // per file
constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kMetadataPrefix = ".wh..wh.";
constexpr std::string_view kOpaqueMarker = ".wh..wh..opq";

// "/a/./b/../c" -> "a/c". ".." at the root stays at the root, as in a chroot.
std::string CleanPath(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    std::string part = path.substr(begin, end - begin);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(std::move(part));
    }
    begin = end + 1;
  }
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "/") + part;
  return out;
}

std::string ParentOf(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string NameOf(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

// Attributes in a layer that would steer overlayfs or the host's security modules are dropped.
bool IsXattrAllowed(std::string_view name) {
  if (name == "security.capability") return true;
  return name.starts_with("user.") && !name.starts_with("user.overlay.");
}

class Unpacker {
 public:
  Unpacker(TarStream& tar, int root_fd, UnpackedLayer& out)
      : tar_(tar), root_fd_(root_fd), out_(out) {}
  Status Apply(archive_entry* entry);

 private:
  struct Entry {
    archive_entry* raw;
    std::string path, name;
    int parent_fd;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    timespec mtime;
  };
  Status Dispatch(Entry& entry);
  Status ApplyRoot(const Entry& entry);
  Status ApplyWhiteout(const Entry& entry);
  Status MakeFile(const Entry& entry);
  Status WriteData(int fd, const Entry& entry);
  Status MakeDirectory(const Entry& entry);
  Status MakeLink(const Entry& entry, const std::string& target);
  Status MakeSymlink(const Entry& entry);
  Status MakeNode(const Entry& entry);
  // Runs `create` (-1 and errno like a system call); what is in its way is removed first.
  Status Create(const Entry& entry, const char* call, const std::function<int()>& create);
  Status Remove(const Entry& entry);
  Status SetFdAttributes(int fd, const Entry& entry);
  Result<int> OpenParent(const std::string& path);
  Status MakeImpliedParents(const std::string& parent);
  Result<Entry> ReadEntry(archive_entry* raw);

  TarStream& tar_;
  const int root_fd_;
  UnpackedLayer& out_;
  std::string cached_path_;  // of the last parent: files of one directory come together
  UniqueFd cached_fd_;
  bool cache_stale_ = false;  // something was removed: the path may lead elsewhere now
};

Error AtEntry(const std::string& path, const std::string& problem) {
  return {Code::kInvalidConfig, 0, "entry " + path.substr(0, 300) + ": " + problem};
}

Result<Unpacker::Entry> Unpacker::ReadEntry(archive_entry* raw) {
  const char* name = archive_entry_pathname(raw);
  if (name == nullptr) return AtEntry("?", "has no readable name");
  Entry entry{raw, CleanPath(name), "", -1, archive_entry_perm(raw) & 07777U, 0, 0, {}};
  entry.name = NameOf(entry.path);
  const std::int64_t uid = archive_entry_uid(raw);
  const std::int64_t gid = archive_entry_gid(raw);
  // 2^32-1 means "leave as it is" to chown(2).
  if (uid < 0 || uid >= 0xffffffff)
    return AtEntry(name, "uid " + std::to_string(uid) + " is out of range");
  if (gid < 0 || gid >= 0xffffffff)
    return AtEntry(name, "gid " + std::to_string(gid) + " is out of range");
  entry.uid = static_cast<uid_t>(uid);
  entry.gid = static_cast<gid_t>(gid);
  entry.mtime = {archive_entry_mtime(raw), archive_entry_mtime_nsec(raw)};
  if (entry.mtime.tv_nsec < 0 || entry.mtime.tv_nsec > 999'999'999) entry.mtime.tv_nsec = 0;
  return entry;
}

Status Unpacker::MakeImpliedParents(const std::string& parent) {
  for (std::size_t end = 0; end < parent.size();) {
    end = std::min(parent.find('/', end + 1), parent.size());
    const std::string path = parent.substr(0, end);
    const Result<UniqueFd> there = sys::OpenInRoot(root_fd_, path, O_PATH | O_DIRECTORY);
    if (there.has_value()) continue;
    if (there.error().errnum != ENOENT) return there.error();
    TRY(sys::MakeDirectoryInRoot(root_fd_, path, 0755));
    out_.implied_directories.insert(path);
    ++out_.inodes;
  }
  return {};
}

Result<int> Unpacker::OpenParent(const std::string& path) {
  const std::string parent = ParentOf(path);
  if (cached_fd_ && parent == cached_path_ && !cache_stale_) return cached_fd_.get();
  const std::string shown = parent.empty() ? "." : parent;
  Result<UniqueFd> fd = sys::OpenInRoot(root_fd_, shown, O_PATH | O_DIRECTORY);
  if (!fd.has_value() && fd.error().errnum == ENOENT) {
    TRY(MakeImpliedParents(parent));
    fd = sys::OpenInRoot(root_fd_, shown, O_PATH | O_DIRECTORY);
  }
  if (!fd.has_value()) return std::move(fd).error();
  cached_fd_ = *std::move(fd);
  cached_path_ = parent;
  cache_stale_ = false;
  return cached_fd_.get();
}

Status Unpacker::Create(const Entry& entry, const char* call, const std::function<int()>& create) {
  if (create() == 0) return {};
  if (errno == EEXIST) {
    // The last of several entries with one name counts.
    TRY(Remove(entry));
    if (create() == 0) return {};
  }
  return KernelError(std::string(call) + " entry=" + entry.path);
}

Status Unpacker::Remove(const Entry& entry) {
  cache_stale_ = true;
  // Follows no symlink at or below the name.
  return RemoveTree(sys::FdPath(entry.parent_fd) + "/" + entry.name);
}

Status Unpacker::SetFdAttributes(int fd, const Entry& entry) {
  // chown(2) clears setuid and security.capability, so it goes first.
  if (::fchown(fd, entry.uid, entry.gid) != 0) return KernelError("fchown(2) entry=" + entry.path);
  if (::fchmod(fd, entry.mode) != 0) return KernelError("fchmod(2) entry=" + entry.path);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  int count = archive_entry_xattr_reset(entry.raw);
  if (count > kMaxXattrs) return AtEntry(entry.path, "has more than 64 extended attributes");
  while (archive_entry_xattr_next(entry.raw, &name, &value, &size) == ARCHIVE_OK) {
    if (name == nullptr || !IsXattrAllowed(name)) continue;
    if (::fsetxattr(fd, name, value, size, 0) == 0) continue;
    // A filesystem without user attributes loses them, as with every other tool.
    if (errno == ENOTSUP && std::string_view(name).starts_with("user.")) continue;
    return KernelError("fsetxattr(2) name=" + std::string(name) + " entry=" + entry.path);
  }
  return {};
}

Status Unpacker::ApplyRoot(const Entry& entry) {
  if (archive_entry_filetype(entry.raw) != AE_IFDIR || archive_entry_hardlink(entry.raw) != nullptr)
    return AtEntry("/", "the root of a layer must be a directory");
  const UniqueFd fd = TRY(sys::OpenInRoot(root_fd_, ".", O_RDONLY | O_DIRECTORY));
  TRY(SetFdAttributes(fd.get(), entry));
  out_.root_listed = true;
  out_.directory_times["."] = entry.mtime;
  return {};
}

Status Unpacker::ApplyWhiteout(const Entry& entry) {
  if (entry.name == kOpaqueMarker) {
    if (ParentOf(entry.path).empty()) {
      out_.root_opaque = true;  // overlayfs ignores the xattr on the root of a layer
      return {};
    }
    return SetOpaque(entry.parent_fd, ".");
  }
  if (entry.name.starts_with(kMetadataPrefix)) return {};  // AUFS's own
  const std::string name = entry.name.substr(kWhiteoutPrefix.size());
  if (name.empty() || name == "." || name == "..")
    return AtEntry(entry.path, "a whiteout of nothing, or of its own directory");
  struct stat status {};
  if (::fstatat(entry.parent_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    // A whiteout hides what is below this layer, never what is in it.
    return S_ISDIR(status.st_mode) ? SetOpaque(entry.parent_fd, name) : Status();
  }
  ++out_.inodes;
  return MakeWhiteout(entry.parent_fd, name);
}

Status Unpacker::WriteData(int fd, const Entry& entry) {
  std::uint64_t end = 0;
  for (;;) {
    TarStream::Piece piece = TRY(tar_.NextPiece());
    if (piece.data.empty()) break;
    out_.bytes += piece.data.size();
    while (!piece.data.empty()) {
      const ssize_t size =
          ::pwrite(fd, piece.data.data(), piece.data.size(), static_cast<off_t>(piece.offset));
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return KernelError("pwrite(2) entry=" + entry.path);
      piece.data.remove_prefix(static_cast<std::size_t>(size));
      piece.offset += static_cast<std::uint64_t>(size);
    }
    end = std::max(end, piece.offset);
  }
  const std::int64_t size = archive_entry_size(entry.raw);
  if (size > 0 && static_cast<std::uint64_t>(size) > end && ::ftruncate(fd, size) != 0)
    return KernelError("ftruncate(2) entry=" + entry.path);
  return {};
}

Status Unpacker::MakeFile(const Entry& entry) {
  UniqueFd fd;
  TRY(Create(entry, "openat(2) O_CREAT|O_EXCL", [&] {
    fd = UniqueFd(::openat(entry.parent_fd, entry.name.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    return fd ? 0 : -1;
  }));
  TRY(WriteData(fd.get(), entry));
  TRY(SetFdAttributes(fd.get(), entry));
  const timespec times[2] = {entry.mtime, entry.mtime};
  if (::futimens(fd.get(), times) != 0) return KernelError("futimens(2) entry=" + entry.path);
  return {};
}

Status Unpacker::MakeDirectory(const Entry& entry) {
  out_.implied_directories.erase(entry.path);
  out_.directory_times[entry.path] = entry.mtime;
  struct stat status {};
  const bool exists =
      ::fstatat(entry.parent_fd, entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (!exists || !S_ISDIR(status.st_mode)) {
    TRY(Create(entry, "mkdirat(2)",
               [&] { return ::mkdirat(entry.parent_fd, entry.name.c_str(), 0700); }));
    // A new directory where a whiteout was: what is below must stay hidden.
    if (exists && IsWhiteout(status)) TRY(SetOpaque(entry.parent_fd, entry.name));
  }
  const UniqueFd fd(::openat(entry.parent_fd, entry.name.c_str(),
                             O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return KernelError("openat(2) O_DIRECTORY entry=" + entry.path);
  return SetFdAttributes(fd.get(), entry);
}

Status Unpacker::MakeLink(const Entry& entry, const std::string& target) {
  const std::string path = CleanPath(target);
  if (path == entry.path) return AtEntry(entry.path, "a hard link to itself");
  const Status linked = LinkInLayer(root_fd_, path, entry.parent_fd, entry.name);
  if (linked.has_value()) return {};
  if (linked.error().errnum == EEXIST) {
    TRY(Remove(entry));
    return LinkInLayer(root_fd_, path, entry.parent_fd, entry.name);
  }
  if (linked.error().errnum != ENOENT) return linked.error();
  out_.missing_links.push_back({entry.path, path});
  return {};
}

Status Unpacker::MakeSymlink(const Entry& entry) {
  const char* target = archive_entry_symlink(entry.raw);
  if (target == nullptr || *target == '\0') return AtEntry(entry.path, "a symlink to nothing");
  TRY(Create(entry, "symlinkat(2)",
             [&] { return ::symlinkat(target, entry.parent_fd, entry.name.c_str()); }));
  if (::fchownat(entry.parent_fd, entry.name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) !=
      0)
    return KernelError("fchownat(2) entry=" + entry.path);
  const timespec times[2] = {entry.mtime, entry.mtime};
  if (::utimensat(entry.parent_fd, entry.name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0)
    return KernelError("utimensat(2) entry=" + entry.path);
  return {};
}

Status Unpacker::MakeNode(const Entry& entry) {
  const mode_t type = archive_entry_filetype(entry.raw);
  const dev_t device = makedev(static_cast<unsigned>(archive_entry_rdevmajor(entry.raw)),
                               static_cast<unsigned>(archive_entry_rdevminor(entry.raw)));
  if (type == AE_IFCHR && device == 0)
    return AtEntry(entry.path, "a character device 0:0, which overlayfs takes for a whiteout");
  const char* name = entry.name.c_str();
  TRY(Create(entry, "mknodat(2)", [&] {
    return ::mknodat(entry.parent_fd, name, type | 0600, type == AE_IFIFO ? 0 : device);
  }));
  if (::fchownat(entry.parent_fd, name, entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return KernelError("fchownat(2) entry=" + entry.path);
  // Just created by us, the only writer: no symlink can be here.
  if (::fchmodat(entry.parent_fd, name, entry.mode, 0) != 0)
    return KernelError("fchmodat(2) entry=" + entry.path);
  const timespec times[2] = {entry.mtime, entry.mtime};
  if (::utimensat(entry.parent_fd, name, times, AT_SYMLINK_NOFOLLOW) != 0)
    return KernelError("utimensat(2) entry=" + entry.path);
  return {};
}

Status Unpacker::Dispatch(Entry& entry) {
  if (entry.path.empty()) return ApplyRoot(entry);
  entry.parent_fd = TRY(OpenParent(entry.path));
  if (entry.name.starts_with(kWhiteoutPrefix)) return ApplyWhiteout(entry);
  ++out_.inodes;
  if (const char* target = archive_entry_hardlink(entry.raw)) return MakeLink(entry, target);
  switch (archive_entry_filetype(entry.raw)) {
    case AE_IFREG:
      return MakeFile(entry);
    case AE_IFDIR:
      return MakeDirectory(entry);
    case AE_IFLNK:
      return MakeSymlink(entry);
    case AE_IFCHR:
    case AE_IFBLK:
    case AE_IFIFO:
      return MakeNode(entry);
    default:
      return AtEntry(entry.path, "of a type that layers do not have");
  }
}

Status Unpacker::Apply(archive_entry* raw) {
  Entry entry = TRY(ReadEntry(raw));
  return Dispatch(entry);
}

}  // namespace

Result<UnpackedLayer> UnpackLayer(UniqueFd blob, int root_fd, const LayerOptions& options) {
  const auto tar = TRY(TarStream::Open(
      std::move(blob), {options.limit_bytes, options.digest_algorithm, options.cancel}));
  UnpackedLayer out;
  Unpacker unpacker(*tar, root_fd, out);
  std::uint64_t entries = 0;
  while (archive_entry* entry = TRY(tar->NextEntry())) {
    if (++entries > kMaxEntries)
      return Error{Code::kInvalidConfig, 0, "layer has more than 2000000 entries"};
    TRY(unpacker.Apply(entry));
  }
  out.diff_id = TRY(tar->Finish());
  out.tar_bytes = tar->bytes();
  return out;
}

}  // namespace coracle::image
