#include "archive_save.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <set>

#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "document.h"
#include "tar_stream.h"

namespace coracle::image {
namespace {

struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

class TarWriter {
 public:
  static Result<TarWriter> Open(int fd) {
    TarWriter writer;
    writer.archive_.reset(archive_write_new());
    archive_write_set_format_pax_restricted(writer.archive_.get());
    archive_write_set_bytes_in_last_block(writer.archive_.get(), 1);
    if (archive_write_open_fd(writer.archive_.get(), fd) != ARCHIVE_OK)
      return ArchiveError(writer.archive_.get(), "write tar");
    return writer;
  }
  Status Begin(const std::string& name, std::uint64_t size) {
    const std::unique_ptr<archive_entry, FreeEntry> entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
    archive_entry_set_mtime(entry.get(), 0, 0);  // the same images make the same archive
    if (archive_write_header(archive_.get(), entry.get()) != ARCHIVE_OK)
      return ArchiveError(archive_.get(), "write tar");
    return {};
  }
  Status Write(std::string_view data) {
    if (archive_write_data(archive_.get(), data.data(), data.size()) !=
        static_cast<la_ssize_t>(data.size()))
      return ArchiveError(archive_.get(), "write tar");
    return {};
  }
  Status Add(const std::string& name, std::string_view data) {
    TRY(Begin(name, data.size()));
    return Write(data);
  }
  Status Close() {
    if (archive_write_close(archive_.get()) != ARCHIVE_OK)
      return ArchiveError(archive_.get(), "write tar");
    return {};
  }

 private:
  ArchivePtr archive_;
};

class Saver {
 public:
  Saver(StoreContext& store, TarWriter& tar) : store_(store), tar_(tar) {}
  Status SaveOci(const std::vector<SavedImage>& images);
  Status SaveDocker(const std::vector<SavedImage>& images);

 private:
  Status AddBlob(const std::string& digest);
  Status AddUncompressed(const std::string& name, const ImageLayer& layer,
                         const LayerRecord& record);
  Result<Json> AddDockerImage(const SavedImage& image);

  StoreContext& store_;
  TarWriter& tar_;
  std::set<std::string> written_;
};

Status Saver::AddBlob(const std::string& text) {
  if (!written_.insert(text).second) return {};
  const Digest digest = TRY(ParseDigest(text));
  const UniqueFd fd = TRY(store_.content.Open(digest));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return KernelError("fstat(2) blob=" + text);
  TRY(tar_.Begin("blobs/" + digest.algorithm + "/" + digest.hex,
                 static_cast<std::uint64_t>(status.st_size)));
  Hasher hasher(digest.algorithm);
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return KernelError("read(2) blob=" + text);
    if (size == 0) break;
    const std::string_view data(buffer.data(), static_cast<std::size_t>(size));
    hasher.Update(data);
    TRY(tar_.Write(data));
  }
  if (hasher.Finish() != digest)
    return Error{Code::kKernel, EBADMSG, "blob " + text + ": damaged in the image store"};
  return {};
}

Status Saver::SaveOci(const std::vector<SavedImage>& images) {
  oci::ImageIndex index;
  index.media_type = "application/vnd.oci.image.index.v1+json";
  TRY(tar_.Add("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  for (const SavedImage& image : images) {
    const std::string manifest =
        TRY(store_.content.Read(TRY(ParseDigest(image.record.manifest_digest)), kMaxManifest));
    oci::Descriptor descriptor;
    descriptor.media_type = image.record.manifest_type;
    descriptor.digest = image.record.manifest_digest;
    descriptor.size = manifest.size();
    TRY(AddBlob(image.record.manifest_digest));
    TRY(AddBlob(image.record.id));
    for (const ImageLayer& layer : image.record.layers) TRY(AddBlob(layer.blob));
    for (const std::string& name : image.names) {
      oci::Descriptor& named = index.manifests.emplace_back(descriptor);
      named.annotations["io.containerd.image.name"] = name;
      const Reference reference = TRY(ParseReference(name));
      if (!reference.tag.empty())
        named.annotations["org.opencontainers.image.ref.name"] = reference.tag;
    }
    if (image.names.empty()) index.manifests.push_back(descriptor);
  }
  return tar_.Add("index.json", PrintJson(oci::ToJson(index)));
}

Status Saver::AddUncompressed(const std::string& name, const ImageLayer& layer,
                              const LayerRecord& record) {
  if (!written_.insert(name).second) return {};
  const auto source = TRY(
      Decompressor::Open(TRY(store_.content.Open(TRY(ParseDigest(layer.blob)))), record.tar_bytes));
  TRY(tar_.Begin(name, record.tar_bytes));
  Hasher hasher(TRY(ParseDigest(record.diff_id)).algorithm);
  for (;;) {
    const std::string_view data = TRY(source->Next());
    if (data.empty()) break;
    hasher.Update(data);
    TRY(tar_.Write(data));
  }
  if (hasher.Finish().String() != record.diff_id)
    return Error{Code::kKernel, EBADMSG, "blob " + layer.blob + ": damaged in the image store"};
  return {};
}

Result<Json> Saver::AddDockerImage(const SavedImage& image) {
  const Digest id = TRY(ParseDigest(image.record.id));
  Json entry = {
      {"Config", id.hex + ".json"}, {"RepoTags", Json::array()}, {"Layers", Json::array()}};
  for (const std::string& name : image.names) {
    const Reference reference = TRY(ParseReference(name));
    if (reference.digest.empty()) entry["RepoTags"].push_back(name);
  }
  if (written_.insert(id.hex).second) TRY(tar_.Add(id.hex + ".json", image.record.config_json));
  for (const ImageLayer& layer : image.record.layers) {
    const auto record = TRY(store_.metadata->FindLayerById(layer.layer));
    if (!record.has_value())
      return Error{Code::kNotFound, ENOENT, "layer " + layer.blob + ": removed meanwhile"};
    const std::string name = TRY(ParseDigest(record->diff_id)).hex + ".tar";
    TRY(AddUncompressed(name, layer, *record));
    entry["Layers"].push_back(name);
  }
  return entry;
}

Status Saver::SaveDocker(const std::vector<SavedImage>& images) {
  Json manifest = Json::array();
  for (const SavedImage& image : images) manifest.push_back(TRY(AddDockerImage(image)));
  return tar_.Add("manifest.json", PrintJson(manifest));
}

Status WriteTo(int fd, StoreContext& store, const std::vector<SavedImage>& images,
               ImageStore::ArchiveFormat format) {
  TarWriter tar = TRY(TarWriter::Open(fd));
  Saver saver(store, tar);
  TRY(format == ImageStore::ArchiveFormat::kOci ? saver.SaveOci(images) : saver.SaveDocker(images));
  return tar.Close();
}

}  // namespace

Status SaveArchive(StoreContext& store, const std::vector<SavedImage>& images,
                   const std::string& path, ImageStore::ArchiveFormat format) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (!fd) return KernelError("open(2) path=" + path);
    return WriteTo(fd.get(), store, images, format);
  }
  const std::string temporary = path + ".tmp." + std::to_string(::getpid());
  const UniqueFd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd) return KernelError("open(2) O_CREAT path=" + temporary);
  Status written = WriteTo(fd.get(), store, images, format);
  if (written.has_value() && ::rename(temporary.c_str(), path.c_str()) != 0)
    written = KernelError("rename(2) to=" + path);
  if (!written.has_value()) ::unlink(temporary.c_str());
  return written;
}

}  // namespace coracle::image
