#include "metadata.h"

#include <functional>

namespace coracle::image {
namespace {

constexpr std::int64_t kSchemaVersion = 1;

constexpr const char* kSchema = R"(
CREATE TABLE images(
  id TEXT PRIMARY KEY, manifest TEXT NOT NULL, manifest_type TEXT NOT NULL,
  config TEXT NOT NULL, size INTEGER NOT NULL, pinned INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE names(
  name TEXT PRIMARY KEY, image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE,
  is_digest INTEGER NOT NULL) STRICT;
CREATE INDEX names_image ON names(image);
CREATE TABLE layers(
  id INTEGER PRIMARY KEY AUTOINCREMENT, chain TEXT NOT NULL UNIQUE, diff TEXT NOT NULL,
  tar_bytes INTEGER NOT NULL, bytes INTEGER NOT NULL, inodes INTEGER NOT NULL) STRICT;
CREATE TABLE image_layers(
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, position INTEGER NOT NULL,
  layer INTEGER NOT NULL REFERENCES layers(id), blob TEXT NOT NULL, media_type TEXT NOT NULL,
  blob_bytes INTEGER NOT NULL, PRIMARY KEY(image, position)) STRICT;
CREATE INDEX image_layers_layer ON image_layers(layer);
CREATE TABLE image_blobs(
  image TEXT NOT NULL REFERENCES images(id) ON DELETE CASCADE, digest TEXT NOT NULL,
  PRIMARY KEY(image, digest)) STRICT;
CREATE INDEX image_blobs_digest ON image_blobs(digest);
CREATE TABLE snapshots(
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, image TEXT NOT NULL,
  read_only INTEGER NOT NULL) STRICT;
CREATE TABLE snapshot_layers(
  snapshot INTEGER NOT NULL REFERENCES snapshots(id) ON DELETE CASCADE,
  position INTEGER NOT NULL, layer INTEGER NOT NULL REFERENCES layers(id),
  PRIMARY KEY(snapshot, position)) STRICT;
CREATE INDEX snapshot_layers_layer ON snapshot_layers(layer);
CREATE TABLE garbage_layers(layer INTEGER PRIMARY KEY) STRICT;
CREATE TABLE garbage_blobs(digest TEXT PRIMARY KEY) STRICT;
PRAGMA user_version=1;
)";

LayerRecord ReadLayer(const Statement& row) {
  return {row.Number(0),
          row.Text(1),
          row.Text(2),
          static_cast<std::uint64_t>(row.Number(3)),
          static_cast<std::uint64_t>(row.Number(4)),
          static_cast<std::uint64_t>(row.Number(5))};
}

}  // namespace

Result<std::unique_ptr<Metadata>> Metadata::Open(const std::string& path) {
  auto database = TRY(Database::Open(path));
  std::unique_ptr<Metadata> metadata(new Metadata(std::move(database)));
  TRY(metadata->MakeSchema());
  return metadata;
}

Status Metadata::MakeSchema() {
  Transaction transaction = TRY(Transaction::Begin(*database_));
  std::int64_t version = 0;
  {
    Statement query = TRY(database_->Prepare("PRAGMA user_version"));
    if (TRY(query.Step())) version = query.Number(0);
  }
  if (version == kSchemaVersion) return {};
  if (version != 0)
    return Error{Code::kUnsupported, 0,
                 "image store has schema version " + std::to_string(version) +
                     "; this program knows " + std::to_string(kSchemaVersion)};
  TRY(database_->Execute(kSchema));
  return transaction.Commit();
}

Status Metadata::Run(std::string_view sql, const std::vector<std::string>& arguments) {
  Statement statement = TRY(database_->Prepare(sql));
  for (const std::string& argument : arguments) statement.Bind(argument);
  return statement.Run();
}

Result<std::vector<std::string>> Metadata::Texts(std::string_view sql,
                                                 const std::string& argument) {
  Statement query = TRY(database_->Prepare(sql));
  if (sql.find('?') != std::string_view::npos) query.Bind(argument);
  std::vector<std::string> out;
  while (TRY(query.Step())) out.push_back(query.Text(0));
  return out;
}

Result<std::vector<std::int64_t>> Metadata::Numbers(std::string_view sql,
                                                    const std::string& argument) {
  Statement query = TRY(database_->Prepare(sql));
  if (sql.find('?') != std::string_view::npos) query.Bind(argument);
  std::vector<std::int64_t> out;
  while (TRY(query.Step())) out.push_back(query.Number(0));
  return out;
}

Result<std::optional<LayerRecord>> Metadata::FindLayer(const std::string& chain_id) {
  const std::scoped_lock lock(mutex_);
  Statement query = TRY(database_->Prepare(
      "SELECT id, chain, diff, tar_bytes, bytes, inodes FROM layers WHERE chain = ?"));
  query.Bind(chain_id);
  if (!TRY(query.Step())) return std::optional<LayerRecord>();
  return std::optional(ReadLayer(query));
}

Result<std::optional<LayerRecord>> Metadata::FindLayerById(std::int64_t id) {
  const std::scoped_lock lock(mutex_);
  Statement query = TRY(database_->Prepare(
      "SELECT id, chain, diff, tar_bytes, bytes, inodes FROM layers WHERE id = ?"));
  query.Bind(id);
  if (!TRY(query.Step())) return std::optional<LayerRecord>();
  return std::optional(ReadLayer(query));
}

Status Metadata::AddLayers(
    std::vector<LayerRecord>& layers,
    const std::function<Status(const LayerRecord&, std::size_t index)>& place) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction = TRY(Transaction::Begin(*database_));
  for (std::size_t i = 0; i < layers.size(); ++i) {
    LayerRecord& layer = layers[i];
    Statement insert = TRY(database_->Prepare(
        "INSERT INTO layers(chain, diff, tar_bytes, bytes, inodes) VALUES(?, ?, ?, ?, ?)"));
    TRY(insert.Bind(layer.chain_id)
            .Bind(layer.diff_id)
            .Bind(static_cast<std::int64_t>(layer.tar_bytes))
            .Bind(static_cast<std::int64_t>(layer.bytes))
            .Bind(static_cast<std::int64_t>(layer.inodes))
            .Run());
    layer.id = database_->LastInsertId();
    TRY(place(layer, i));
  }
  return transaction.Commit();
}

Status Metadata::InsertNames(const std::string& id, const std::vector<std::string>& names,
                             bool digest) {
  for (const std::string& name : names) {
    Statement insert =
        TRY(database_->Prepare("INSERT INTO names(name, image, is_digest) VALUES(?, ?, ?) "
                               "ON CONFLICT(name) DO UPDATE SET image = excluded.image"));
    TRY(insert.Bind(name).Bind(id).Bind(static_cast<std::int64_t>(digest)).Run());
  }
  return {};
}

Status Metadata::InsertImageContent(const ImageRecord& image) {
  TRY(Run("INSERT OR IGNORE INTO image_blobs(image, digest) VALUES(?, ?)", {image.id, image.id}));
  TRY(Run("INSERT OR IGNORE INTO image_blobs(image, digest) VALUES(?, ?)",
          {image.id, image.manifest_digest}));
  TRY(Run("DELETE FROM image_layers WHERE image = ?", {image.id}));
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const ImageLayer& layer = image.layers[i];
    Statement insert = TRY(database_->Prepare(
        "INSERT INTO image_layers(image, position, layer, blob, media_type, blob_bytes) "
        "VALUES(?, ?, ?, ?, ?, ?)"));
    TRY(insert.Bind(image.id)
            .Bind(static_cast<std::int64_t>(i))
            .Bind(layer.layer)
            .Bind(layer.blob)
            .Bind(layer.media_type)
            .Bind(static_cast<std::int64_t>(layer.blob_bytes))
            .Run());
    TRY(Run("INSERT OR IGNORE INTO image_blobs(image, digest) VALUES(?, ?)",
            {image.id, layer.blob}));
  }
  return {};
}

Status Metadata::PutImage(const ImageRecord& image) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction = TRY(Transaction::Begin(*database_));
  {
    Statement insert = TRY(database_->Prepare(
        "INSERT INTO images(id, manifest, manifest_type, config, size) VALUES(?, ?, ?, ?, ?) "
        "ON CONFLICT(id) DO UPDATE SET manifest = excluded.manifest, "
        "manifest_type = excluded.manifest_type, size = excluded.size"));
    TRY(insert.Bind(image.id)
            .Bind(image.manifest_digest)
            .Bind(image.manifest_type)
            .Bind(image.config_json)
            .Bind(static_cast<std::int64_t>(image.size))
            .Run());
  }
  TRY(InsertImageContent(image));
  TRY(InsertNames(image.id, image.tags, false));
  TRY(InsertNames(image.id, image.digests, true));
  return transaction.Commit();
}

Status Metadata::AddNames(const std::string& id, const std::vector<std::string>& tags,
                          const std::vector<std::string>& digests) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction = TRY(Transaction::Begin(*database_));
  TRY(InsertNames(id, tags, false));
  TRY(InsertNames(id, digests, true));
  return transaction.Commit();
}

Result<ImageRecord> Metadata::ReadImage(const std::string& id) {
  ImageRecord image;
  image.id = id;
  Statement query = TRY(database_->Prepare(
      "SELECT manifest, manifest_type, config, size, pinned FROM images WHERE id = ?"));
  query.Bind(id);
  if (!TRY(query.Step())) return Error{Code::kNotFound, 0, "image " + id + ": not found"};
  image.manifest_digest = query.Text(0);
  image.manifest_type = query.Text(1);
  image.config_json = query.Text(2);
  image.size = static_cast<std::uint64_t>(query.Number(3));
  image.pinned = query.Number(4) != 0;
  image.tags =
      TRY(Texts("SELECT name FROM names WHERE image = ? AND NOT is_digest ORDER BY name", id));
  image.digests =
      TRY(Texts("SELECT name FROM names WHERE image = ? AND is_digest ORDER BY name", id));
  Statement layers = TRY(database_->Prepare(
      "SELECT layer, blob, media_type, blob_bytes FROM image_layers WHERE image = ? "
      "ORDER BY position"));
  layers.Bind(id);
  while (TRY(layers.Step()))
    image.layers.push_back({layers.Number(0), layers.Text(1), layers.Text(2),
                            static_cast<std::uint64_t>(layers.Number(3))});
  return image;
}

Result<std::vector<ImageRecord>> Metadata::Images() {
  const std::scoped_lock lock(mutex_);
  const Transaction snapshot = TRY(Transaction::BeginRead(*database_));
  std::vector<ImageRecord> images;
  for (const std::string& id : TRY(Texts("SELECT id FROM images ORDER BY id", "")))
    images.push_back(TRY(ReadImage(id)));
  return images;
}

Result<std::optional<ImageRecord>> Metadata::ImageById(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  const Transaction snapshot = TRY(Transaction::BeginRead(*database_));
  Result<ImageRecord> image = ReadImage(id);
  if (image.has_value()) return std::optional(*std::move(image));
  if (image.error().code == Code::kNotFound) return std::optional<ImageRecord>();
  return image.error();
}

Result<std::vector<std::string>> Metadata::IdsByName(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  return Texts("SELECT image FROM names WHERE name = ?", name);
}

Result<std::vector<std::string>> Metadata::IdsByPrefix(const std::string& prefix) {
  const std::scoped_lock lock(mutex_);
  return Texts("SELECT id FROM images WHERE id LIKE ? || '%' LIMIT 2", prefix);
}

Status Metadata::RemoveImage(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  Transaction transaction = TRY(Transaction::Begin(*database_));
  TRY(Run("INSERT OR IGNORE INTO garbage_layers SELECT layer FROM image_layers WHERE image = ?",
          {id}));
  TRY(Run("INSERT OR IGNORE INTO garbage_blobs SELECT digest FROM image_blobs WHERE image = ?",
          {id}));
  TRY(Run("DELETE FROM images WHERE id = ?", {id}));
  return transaction.Commit();
}

Status Metadata::RemoveName(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  return Run("DELETE FROM names WHERE name = ?", {name});
}

Status Metadata::SetPinned(const std::string& id, bool pinned) {
  const std::scoped_lock lock(mutex_);
  Statement update = TRY(database_->Prepare("UPDATE images SET pinned = ? WHERE id = ?"));
  return update.Bind(static_cast<std::int64_t>(pinned)).Bind(id).Run();
}

}  // namespace coracle::image
