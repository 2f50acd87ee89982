#include "garbage.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "coracle/base/file.h"
#include "file_lock.h"

namespace coracle::image {
namespace {

std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error))
    names.push_back(entry->path().filename());
  return names;
}

Status RemoveLayers(StoreContext& store, const std::vector<std::int64_t>& layers) {
  for (const std::int64_t id : layers) {
    // The record first: a crash in between leaves a directory that SweepAll finds.
    if (TRY(store.metadata->ForgetLayer(id))) TRY(RemoveTree(store.LayerDir(std::to_string(id))));
  }
  return {};
}

Status RemoveBlobs(StoreContext& store, const std::vector<std::string>& blobs) {
  for (const std::string& blob : blobs) {
    if (TRY(store.metadata->ForgetBlob(blob))) TRY(store.content.Remove(TRY(ParseDigest(blob))));
  }
  return {};
}

Status RemoveUnknown(const std::string& directory, const std::set<std::string>& known) {
  for (const std::string& name : NamesIn(directory)) {
    if (!known.contains(name)) TRY(RemoveTree(directory + "/" + name));
  }
  return {};
}

std::set<std::string> Names(const std::vector<std::int64_t>& ids) {
  std::set<std::string> names;
  for (const std::int64_t id : ids) names.insert(std::to_string(id));
  return names;
}

}  // namespace

Status SweepNoted(StoreContext& store) {
  const Garbage garbage = TRY(store.metadata->CollectGarbage(false));
  if (garbage.layers.empty() && garbage.blobs.empty()) return {};
  const UniqueFd lock = TRY(TryLockFile(store.LockPath(), LockMode::kExclusive));
  if (!lock) return {};
  TRY(RemoveLayers(store, garbage.layers));
  return RemoveBlobs(store, garbage.blobs);
}

Status SweepAll(StoreContext& store) {
  const UniqueFd lock = TRY(TryLockFile(store.LockPath(), LockMode::kExclusive));
  if (!lock) return {};
  const Garbage garbage = TRY(store.metadata->CollectGarbage(true));
  TRY(RemoveLayers(store, garbage.layers));
  TRY(RemoveBlobs(store, garbage.blobs));
  std::set<std::string> blobs;
  for (const std::string& digest : TRY(store.metadata->ReferencedBlobs())) blobs.insert(digest);
  for (const Digest& digest : store.content.List()) {
    if (!blobs.contains(digest.String())) TRY(store.content.Remove(digest));
  }
  std::set<std::string> layers = Names(TRY(store.metadata->LayerIds()));
  layers.insert("empty");
  TRY(RemoveUnknown(store.LayersDir(), layers));
  // A snapshot gets its record before its directory, so this one has nobody.
  TRY(RemoveUnknown(store.root + "/s", Names(TRY(store.metadata->SnapshotIds()))));
  return RemoveUnknown(store.root + "/ingest", {});
}

}  // namespace coracle::image
