// The records of the store, in SQLite: images, their names, layers, snapshots, and what waits to
// be deleted. A file or directory that no record names is garbage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "database.h"

namespace coracle::image {

struct LayerRecord {
  std::int64_t id = 0;  // name of its directory
  std::string chain_id, diff_id;
  std::uint64_t tar_bytes = 0;          // length of the uncompressed tar
  std::uint64_t bytes = 0, inodes = 0;  // unpacked
};

struct ImageLayer {
  std::int64_t layer = 0;
  std::string blob, media_type;  // as the manifest has it
  std::uint64_t blob_bytes = 0;
};

struct ImageRecord {
  std::string id, manifest_digest, manifest_type, config_json;
  std::uint64_t size = 0;
  bool pinned = false;
  std::vector<std::string> tags, digests;  // names
  std::vector<ImageLayer> layers;          // lowest first
};

struct SnapshotRecord {
  std::int64_t id = 0;
  std::string key, image;
  bool read_only = false;
  std::vector<std::int64_t> layers;  // lowest first
};

struct Garbage {
  std::vector<std::int64_t> layers;
  std::vector<std::string> blobs;
};

class Metadata {
 public:
  static Result<std::unique_ptr<Metadata>> Open(const std::string& path);

  Result<std::optional<LayerRecord>> FindLayer(const std::string& chain_id);
  Result<std::optional<LayerRecord>> FindLayerById(std::int64_t id);
  // Gives each its id. `place` runs inside the transaction and puts the directory there.
  Status AddLayers(std::vector<LayerRecord>& layers,
                   const std::function<Status(const LayerRecord&, std::size_t index)>& place);

  // Adds or updates the image and gives it these names, taking them from other images.
  Status PutImage(const ImageRecord& image);
  Status AddNames(const std::string& id, const std::vector<std::string>& tags,
                  const std::vector<std::string>& digests);
  Result<std::vector<ImageRecord>> Images();
  Result<std::optional<ImageRecord>> ImageById(const std::string& id);
  // Ids that have this name, or start with this prefix.
  Result<std::vector<std::string>> IdsByName(const std::string& name);
  Result<std::vector<std::string>> IdsByPrefix(const std::string& prefix);
  // What nothing refers to any more becomes garbage in the same transaction.
  Status RemoveImage(const std::string& id);
  Status RemoveName(const std::string& name);
  Status SetPinned(const std::string& id, bool pinned);

  Result<SnapshotRecord> AddSnapshot(const std::string& key, const std::string& image,
                                     bool read_only);
  Result<std::optional<SnapshotRecord>> FindSnapshot(const std::string& key);
  Result<std::vector<std::string>> SnapshotKeys();
  Result<std::vector<std::int64_t>> SnapshotIds();
  Status RemoveSnapshot(const std::string& key);

  // Garbage noted so far; with `all`, also every layer and blob that nothing refers to.
  Result<Garbage> CollectGarbage(bool all);
  // Forgets the layer and its garbage note; false: something refers to it again.
  Result<bool> ForgetLayer(std::int64_t id);
  // As above; blobs have no record of their own.
  Result<bool> ForgetBlob(const std::string& digest);
  Result<std::vector<std::int64_t>> LayerIds();
  Result<std::vector<std::string>> ReferencedBlobs();
  // Sum of all layers: bytes, inodes.
  Result<std::pair<std::uint64_t, std::uint64_t>> LayerUsage();

 private:
  explicit Metadata(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  Status MakeSchema();
  Result<ImageRecord> ReadImage(const std::string& id);
  Status InsertNames(const std::string& id, const std::vector<std::string>& names, bool digest);
  Status InsertImageContent(const ImageRecord& image);
  Result<std::vector<std::string>> Texts(std::string_view sql, const std::string& argument);
  Result<std::vector<std::int64_t>> Numbers(std::string_view sql, const std::string& argument);
  Status Run(std::string_view sql, const std::vector<std::string>& arguments);

  std::mutex mutex_;  // one transaction at a time on one connection
  std::unique_ptr<Database> database_;
};

}  // namespace coracle::image
