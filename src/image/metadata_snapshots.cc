// Records of snapshots, and of what waits to be deleted.
#include "metadata.h"

namespace coracle::image {

Result<SnapshotRecord> Metadata::AddSnapshot(const std::string& key, const std::string& image,
                                             bool read_only) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction = TRY(Transaction::Begin(*database_));
  SnapshotRecord record{0, key, image, read_only, {}};
  for (const ImageLayer& layer : TRY(ReadImage(image)).layers) record.layers.push_back(layer.layer);
  if (!TRY(Texts("SELECT key FROM snapshots WHERE key = ?", key)).empty())
    return Error{Code::kAlreadyExists, 0, "snapshot " + key + ": exists already"};
  {
    Statement insert =
        TRY(database_->Prepare("INSERT INTO snapshots(key, image, read_only) VALUES(?, ?, ?)"));
    TRY(insert.Bind(key).Bind(image).Bind(static_cast<std::int64_t>(read_only)).Run());
  }
  record.id = database_->LastInsertId();
  for (std::size_t i = 0; i < record.layers.size(); ++i) {
    Statement insert = TRY(database_->Prepare(
        "INSERT INTO snapshot_layers(snapshot, position, layer) VALUES(?, ?, ?)"));
    TRY(insert.Bind(record.id).Bind(static_cast<std::int64_t>(i)).Bind(record.layers[i]).Run());
  }
  TRY(transaction.Commit());
  return record;
}

Result<std::optional<SnapshotRecord>> Metadata::FindSnapshot(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  Statement query =
      TRY(database_->Prepare("SELECT id, image, read_only FROM snapshots WHERE key = ?"));
  query.Bind(key);
  if (!TRY(query.Step())) return std::optional<SnapshotRecord>();
  SnapshotRecord record{query.Number(0), key, query.Text(1), query.Number(2) != 0, {}};
  record.layers =
      TRY(Numbers("SELECT layer FROM snapshot_layers JOIN snapshots ON snapshot = id WHERE key = ? "
                  "ORDER BY position",
                  key));
  return std::optional(record);
}

Result<std::vector<std::string>> Metadata::SnapshotKeys() {
  const std::scoped_lock lock(mutex_);
  return Texts("SELECT key FROM snapshots ORDER BY key", "");
}

Result<std::vector<std::int64_t>> Metadata::SnapshotIds() {
  const std::scoped_lock lock(mutex_);
  return Numbers("SELECT id FROM snapshots", "");
}

Status Metadata::RemoveSnapshot(const std::string& key) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction = TRY(Transaction::Begin(*database_));
  // Its image may be gone already: then these layers were only waiting for this snapshot.
  TRY(
      Run("INSERT OR IGNORE INTO garbage_layers SELECT layer FROM snapshot_layers "
          "JOIN snapshots ON snapshot = id WHERE key = ?",
          {key}));
  TRY(Run("DELETE FROM snapshots WHERE key = ?", {key}));
  return transaction.Commit();
}

Result<Garbage> Metadata::CollectGarbage(bool all) {
  const std::scoped_lock lock(mutex_);
  Garbage garbage;
  if (all) {
    TRY(
        Run("INSERT OR IGNORE INTO garbage_layers SELECT id FROM layers WHERE id NOT IN "
            "(SELECT layer FROM image_layers) AND id NOT IN (SELECT layer FROM snapshot_layers)",
            {}));
  }
  garbage.layers = TRY(Numbers("SELECT layer FROM garbage_layers", ""));
  garbage.blobs = TRY(Texts("SELECT digest FROM garbage_blobs", ""));
  return garbage;
}

Result<bool> Metadata::ForgetLayer(std::int64_t id) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction = TRY(Transaction::Begin(*database_));
  Statement remove = TRY(database_->Prepare(
      "DELETE FROM layers WHERE id = ? AND id NOT IN (SELECT layer FROM image_layers) "
      "AND id NOT IN (SELECT layer FROM snapshot_layers)"));
  TRY(remove.Bind(id).Run());
  const bool removed = database_->Changes() > 0;
  Statement note = TRY(database_->Prepare("DELETE FROM garbage_layers WHERE layer = ?"));
  TRY(note.Bind(id).Run());
  TRY(transaction.Commit());
  return removed;
}

Result<bool> Metadata::ForgetBlob(const std::string& digest) {
  const std::scoped_lock lock(mutex_);
  TRY(Run("DELETE FROM garbage_blobs WHERE digest = ?", {digest}));
  return TRY(Texts("SELECT digest FROM image_blobs WHERE digest = ? LIMIT 1", digest)).empty();
}

Result<std::vector<std::int64_t>> Metadata::LayerIds() {
  const std::scoped_lock lock(mutex_);
  return Numbers("SELECT id FROM layers", "");
}

Result<std::vector<std::string>> Metadata::ReferencedBlobs() {
  const std::scoped_lock lock(mutex_);
  return Texts("SELECT DISTINCT digest FROM image_blobs", "");
}

Result<std::pair<std::uint64_t, std::uint64_t>> Metadata::LayerUsage() {
  const std::scoped_lock lock(mutex_);
  Statement query = TRY(
      database_->Prepare("SELECT COALESCE(SUM(bytes), 0), COALESCE(SUM(inodes), 0) FROM layers"));
  TRY(query.Step());
  return std::pair(static_cast<std::uint64_t>(query.Number(0)),
                   static_cast<std::uint64_t>(query.Number(1)));
}

}  // namespace coracle::image
