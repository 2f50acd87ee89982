#include "coracle/image/image_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "archive_load.h"
#include "archive_save.h"
#include "coracle/base/file.h"
#include "file_lock.h"
#include "garbage.h"
#include "merged_view.h"
#include "puller.h"
#include "snapshotter.h"
#include "store_context.h"

namespace coracle::image {
namespace {

Error NotFound(const std::string& what) {
  return {Code::kNotFound, ENOENT, "image " + what.substr(0, 300) + ": not found"};
}

bool IsHex(const std::string& text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<Image> ImageOf(ImageRecord record) {
  Image image;
  image.config = TRY(oci::ParseImageConfig(record.config_json, "config " + record.id));
  image.id = std::move(record.id);
  image.repo_tags = std::move(record.tags);
  image.repo_digests = std::move(record.digests);
  image.size = record.size;
  image.pinned = record.pinned;
  image.config_json = std::move(record.config_json);
  return image;
}

// "docker.io/library/busybox@sha256:..." or ":tag" -> "docker.io/library/busybox".
std::string RepositoryOf(const std::string& name) {
  if (const auto at = name.find('@'); at != std::string::npos) return name.substr(0, at);
  return name.substr(0, name.rfind(':'));
}

class Store : public ImageStore {
 public:
  explicit Store(StoreContext context) : store_(std::move(context)) {}

  Result<Image> Pull(const std::string& reference, const PullOptions& options) override;
  Result<std::vector<Image>> List() override;
  Result<Image> Find(const std::string& reference_or_id) override;
  Status Remove(const std::string& reference_or_id) override;
  Status RemoveAllNames(const std::string& reference_or_id) override;
  Status SetPinned(const std::string& reference_or_id, bool pinned) override;
  Result<Snapshot> Prepare(const std::string& key, const std::string& image_id) override;
  Result<Snapshot> PrepareReadOnly(const std::string& key, const std::string& image_id) override;
  Result<Snapshot> GetSnapshot(const std::string& key) override;
  Status RemoveSnapshot(const std::string& key) override;
  Result<std::vector<std::string>> SnapshotKeys() override;
  Result<Usage> SnapshotUsage(const std::string& key) override;
  Result<Usage> StoreUsage() override;
  Result<UniqueFd> OpenTree(const std::string& image_id) override;
  Result<std::vector<Image>> Load(const std::string& path,
                                  const std::string& name_if_none) override;
  Status Save(const std::vector<std::string>& references, const std::string& path,
              ArchiveFormat format) override;
  Status CollectGarbage() override { return SweepAll(store_); }

 private:
  struct Found {
    ImageRecord record;
    std::string name;  // empty: found by id
  };
  Result<Found> Locate(const std::string& reference_or_id);
  void CleanUpAfter(const Error& error);
  Result<Found> LocateByPrefix(const std::string& reference_or_id);
  Result<ImageRecord> RecordById(const std::string& id);
  Result<Snapshot> AddSnapshot(const std::string& key, const std::string& image_id, bool read_only);

  StoreContext store_;
};

Result<ImageRecord> Store::RecordById(const std::string& id) {
  auto record = TRY(store_.metadata->ImageById(id));
  if (!record.has_value()) return NotFound(id);
  return *std::move(record);
}

Result<Store::Found> Store::LocateByPrefix(const std::string& reference_or_id) {
  const std::string hex =
      reference_or_id.starts_with("sha256:") ? reference_or_id.substr(7) : reference_or_id;
  if (!IsHex(hex)) return NotFound(reference_or_id);
  const auto ids = TRY(store_.metadata->IdsByPrefix("sha256:" + hex));
  if (ids.empty()) return NotFound(reference_or_id);
  if (ids.size() > 1)
    return Error{Code::kInvalidConfig, 0,
                 "image " + reference_or_id + ": more than one id begins like this"};
  return Found{TRY(RecordById(ids.front())), ""};
}

Result<Store::Found> Store::Locate(const std::string& reference_or_id) {
  if (ParseDigest(reference_or_id).has_value()) {
    if (auto record = TRY(store_.metadata->ImageById(reference_or_id)); record.has_value())
      return Found{*std::move(record), ""};
    return NotFound(reference_or_id);
  }
  const Result<Reference> reference = ParseReference(reference_or_id);
  if (!reference.has_value()) {
    const std::string hex =
        reference_or_id.starts_with("sha256:") ? reference_or_id.substr(7) : reference_or_id;
    if (IsHex(hex)) return LocateByPrefix(reference_or_id);
    return reference.error();
  }
  const auto ids = TRY(store_.metadata->IdsByName(reference->String()));
  if (ids.empty()) return LocateByPrefix(reference_or_id);
  return Found{TRY(RecordById(ids.front())), reference->String()};
}

// What a transfer brought before it failed stays for the next try, unless that cannot succeed
// either or the disk is full.
void Store::CleanUpAfter(const Error& error) {
  if (error.code == Code::kInvalidConfig || error.errnum == ENOSPC || error.errnum == EDQUOT)
    (void)SweepAll(store_);
}

Result<Image> Store::Pull(const std::string& text, const PullOptions& options) {
  const Reference reference = TRY(ParseReference(text));
  UniqueFd lock = TRY(LockFile(store_.LockPath(), LockMode::kShared, options.cancel));
  const Result<std::string> id = PullImage(store_, reference, options);
  if (!id.has_value()) {
    lock.reset();
    CleanUpAfter(id.error());
    return Within("pull " + reference.String(), id.error());
  }
  auto record = TRY(RecordById(*id));
  lock.reset();
  (void)SweepNoted(store_);  // stays noted if it fails, and is no trouble of this image
  return ImageOf(std::move(record));
}

Result<std::vector<Image>> Store::List() {
  std::vector<Image> images;
  for (ImageRecord& record : TRY(store_.metadata->Images()))
    images.push_back(TRY(ImageOf(std::move(record))));
  return images;
}

Result<Image> Store::Find(const std::string& reference_or_id) {
  return ImageOf(TRY(Locate(reference_or_id)).record);
}

Status Store::Remove(const std::string& reference_or_id) {
  const Found found = TRY(Locate(reference_or_id));
  std::vector<std::string> names = found.record.tags;
  names.insert(names.end(), found.record.digests.begin(), found.record.digests.end());
  std::vector<std::string> removed;
  if (!found.name.empty()) {
    removed.push_back(found.name);
    // With its last tag a repository's digests go, too: nobody asked for those by name.
    const std::string repository = RepositoryOf(found.name);
    const bool other_tag = std::any_of(
        found.record.tags.begin(), found.record.tags.end(),
        [&](const auto& tag) { return tag != found.name && RepositoryOf(tag) == repository; });
    for (const std::string& digest : found.record.digests) {
      if (!other_tag && RepositoryOf(digest) == repository && digest != found.name)
        removed.push_back(digest);
    }
  }
  if (removed.empty() || removed.size() >= names.size()) {
    TRY(store_.metadata->RemoveImage(found.record.id));
    return SweepNoted(store_);
  }
  for (const std::string& name : removed) TRY(store_.metadata->RemoveName(name));
  return {};
}

Status Store::RemoveAllNames(const std::string& reference_or_id) {
  TRY(store_.metadata->RemoveImage(TRY(Locate(reference_or_id)).record.id));
  return SweepNoted(store_);
}

Status Store::SetPinned(const std::string& reference_or_id, bool pinned) {
  return store_.metadata->SetPinned(TRY(Locate(reference_or_id)).record.id, pinned);
}

Result<Snapshot> Store::AddSnapshot(const std::string& key, const std::string& image_id,
                                    bool read_only) {
  if (key.empty()) return Error{Code::kInvalidConfig, 0, "snapshot key is empty"};
  // The record first: whatever happens then, RemoveSnapshot finds and removes it.
  const SnapshotRecord record = TRY(store_.metadata->AddSnapshot(key, image_id, read_only));
  Result<Snapshot> snapshot = MakeSnapshot(store_, record);
  if (!snapshot.has_value()) (void)RemoveSnapshot(key);
  return snapshot;
}

Result<Snapshot> Store::Prepare(const std::string& key, const std::string& image_id) {
  return AddSnapshot(key, image_id, false);
}

Result<Snapshot> Store::PrepareReadOnly(const std::string& key, const std::string& image_id) {
  return AddSnapshot(key, image_id, true);
}

Result<Snapshot> Store::GetSnapshot(const std::string& key) {
  const auto record = TRY(store_.metadata->FindSnapshot(key));
  if (!record.has_value()) return Error{Code::kNotFound, ENOENT, "snapshot " + key + ": not found"};
  return MakeSnapshot(store_, *record);
}

Status Store::RemoveSnapshot(const std::string& key) {
  const auto record = TRY(store_.metadata->FindSnapshot(key));
  if (!record.has_value()) return {};
  TRY(RemoveTree(store_.SnapshotDir(record->id)));
  TRY(store_.metadata->RemoveSnapshot(key));
  return SweepNoted(store_);
}

Result<std::vector<std::string>> Store::SnapshotKeys() { return store_.metadata->SnapshotKeys(); }

Result<Usage> Store::SnapshotUsage(const std::string& key) {
  const auto record = TRY(store_.metadata->FindSnapshot(key));
  if (!record.has_value()) return Error{Code::kNotFound, ENOENT, "snapshot " + key + ": not found"};
  if (record->read_only) return Usage{};
  return UsageOfTree(store_.SnapshotDir(record->id) + "/fs");
}

Result<Usage> Store::StoreUsage() {
  const auto [bytes, inodes] = TRY(store_.metadata->LayerUsage());
  Usage usage{bytes, inodes};
  for (const Digest& digest : store_.content.List()) {
    struct stat status {};
    if (::lstat(store_.content.PathOf(digest).c_str(), &status) != 0) continue;
    usage.bytes += static_cast<std::uint64_t>(status.st_blocks) * 512;
    ++usage.inodes;
  }
  return usage;
}

Result<UniqueFd> Store::OpenTree(const std::string& image_id) {
  std::vector<std::string> layers;
  for (const ImageLayer& layer : TRY(RecordById(image_id)).layers)
    layers.push_back(std::to_string(layer.layer));
  return OpenMergedView(store_.LayersDir(), layers);
}

Result<std::vector<Image>> Store::Load(const std::string& path, const std::string& name_if_none) {
  UniqueFd lock = TRY(LockFile(store_.LockPath(), LockMode::kShared, {}));
  const auto ids = LoadArchive(store_, path, name_if_none);
  if (!ids.has_value()) {
    lock.reset();
    CleanUpAfter(ids.error());
    return Within("load " + path, ids.error());
  }
  std::vector<Image> images;
  for (const std::string& id : *ids) images.push_back(TRY(ImageOf(TRY(RecordById(id)))));
  lock.reset();
  (void)SweepNoted(store_);
  return images;
}

Status Store::Save(const std::vector<std::string>& references, const std::string& path,
                   ArchiveFormat format) {
  UniqueFd lock = TRY(LockFile(store_.LockPath(), LockMode::kShared, {}));
  std::vector<SavedImage> images;
  for (const std::string& reference : references) {
    Found found = TRY(Locate(reference));
    const auto same = std::find_if(images.begin(), images.end(), [&](const SavedImage& image) {
      return image.record.id == found.record.id;
    });
    std::vector<std::string>& names =
        same != images.end() ? same->names
                             : images.emplace_back(SavedImage{std::move(found.record), {}}).names;
    if (!found.name.empty()) names.push_back(found.name);
  }
  TRY(SaveArchive(store_, images, path, format));
  lock.reset();
  (void)SweepNoted(store_);
  return {};
}

}  // namespace

Result<std::unique_ptr<ImageStore>> ImageStore::Open(const std::string& root) {
  // These three mean something in overlayfs's options.
  if (root.empty() || root[0] != '/' || root.find_first_of(":,\\") != std::string::npos)
    return Error{
        Code::kInvalidConfig, 0,
        "image store \"" + root + "\": must be an absolute path without ':', ',' and backslash"};
  TRY(MakeDirectories(root, 0700));
  TRY(MakeDirectories(root + "/l/empty", 0755));
  TRY(MakeDirectories(root + "/s", 0700));
  // Setuid files of images must not be reachable for the host's users (CVE-2021-41103).
  if (::chmod(root.c_str(), 0700) != 0) return KernelError("chmod(2) path=" + root);
  StoreContext context{root, ContentStore(root), nullptr};
  TRY(context.content.MakeLayout());
  context.metadata = TRY(Metadata::Open(root + "/metadata.db"));
  return std::unique_ptr<ImageStore>(new Store(std::move(context)));
}

}  // namespace coracle::image
