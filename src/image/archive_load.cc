#include "archive_load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "coracle/base/file.h"
#include "coracle/base/id.h"
#include "coracle/base/json.h"
#include "coracle/sys/path.h"
#include "document.h"
#include "layer.h"
#include "layer_installer.h"
#include "platform.h"
#include "puller.h"

namespace coracle::image {

// One image of docker-archive's manifest.json.
struct DockerEntry {
  std::string config;
  std::vector<std::string> repo_tags, layers;
};

void Read(JsonReader& reader, DockerEntry& entry) {
  reader.Required("Config", entry.config);
  reader.Optional("RepoTags", entry.repo_tags);
  reader.Required("Layers", entry.layers);
}

namespace {

// A directory that exists only while an archive is read.
class TemporaryDirectory {
 public:
  static Result<TemporaryDirectory> Make(const std::string& path) {
    if (::mkdir(path.c_str(), 0700) != 0) return KernelError("mkdir(2) path=" + path);
    return TemporaryDirectory(path);
  }
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory() {
    if (!path_.empty()) (void)RemoveTree(path_);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// What an archive says about one image.
struct ArchivedImage {
  Document manifest;
  std::string config_json;
  std::vector<std::string> tags, digests;
  std::map<std::string, std::string> layer_paths;  // by digest; others are where OCI puts blobs
};

class Loader {
 public:
  Loader(StoreContext& store, int root_fd, const std::string& name_if_none)
      : store_(store), root_fd_(root_fd), name_if_none_(name_if_none) {}
  Result<std::vector<std::string>> Run();

 private:
  Result<std::vector<std::string>> LoadOciLayout();
  Result<std::vector<std::string>> LoadDockerArchive();
  Result<std::string> LoadDescriptor(const oci::Descriptor& descriptor);
  Result<std::string> LoadDockerEntry(const DockerEntry& entry);
  Result<std::string> Install(ArchivedImage archived);
  Result<std::vector<std::string>> NamesOf(const oci::Descriptor& descriptor);
  Result<std::string> ReadBlob(const oci::Descriptor& descriptor, std::size_t limit_bytes);
  Result<std::string> ReadMember(const std::string& path, std::size_t limit_bytes);
  Result<UniqueFd> OpenMember(const std::string& path);
  Result<oci::Descriptor> DescribeLayer(const std::string& path);
  Status Ingest(const std::string& path, const LayerSource& layer);
  [[nodiscard]] bool Has(const std::string& path) {
    return sys::OpenInRoot(root_fd_, path, O_PATH).has_value();
  }

  StoreContext& store_;
  int root_fd_;
  const std::string& name_if_none_;
};

std::string BlobPath(const std::string& digest) {
  const auto colon = digest.find(':');
  return "blobs/" + digest.substr(0, colon) + "/" + digest.substr(colon + 1);
}

Result<UniqueFd> Loader::OpenMember(const std::string& path) {
  UniqueFd fd = TRY(sys::OpenInRoot(root_fd_, path, O_RDONLY | O_NONBLOCK));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return KernelError("fstat(2) member=" + path);
  if (!S_ISREG(status.st_mode))
    return Error{Code::kInvalidConfig, 0, path + ": not a regular file"};
  return fd;
}

Result<std::string> Loader::ReadMember(const std::string& path, std::size_t limit_bytes) {
  const UniqueFd fd = TRY(OpenMember(path));
  return ReadFd(fd.get(), path, limit_bytes);
}

Result<std::string> Loader::ReadBlob(const oci::Descriptor& descriptor, std::size_t limit_bytes) {
  const Digest digest = TRY(ParseDigest(descriptor.digest));
  std::string data = TRY(ReadMember(BlobPath(descriptor.digest), limit_bytes));
  if (data.size() != descriptor.size || DigestOf(data, digest.algorithm) != digest)
    return Error{Code::kInvalidConfig, EBADMSG,
                 "blob " + descriptor.digest + ": size or digest is not as described"};
  return data;
}

// Copies a member into the content store, which verifies it.
Status Loader::Ingest(const std::string& path, const LayerSource& layer) {
  auto writer = TRY(store_.content.StartWriting({layer.blob, layer.blob_bytes}, {}));
  if (!writer.has_value()) return {};
  TRY(writer->Truncate());
  const UniqueFd fd = TRY(OpenMember(path));
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return KernelError("read(2) member=" + path);
    if (size == 0) return writer->Commit();
    TRY(writer->Write({buffer.data(), static_cast<std::size_t>(size)}));
  }
}

// docker-archive does not say what a layer file is: its digest, size and compression.
Result<oci::Descriptor> Loader::DescribeLayer(const std::string& path) {
  const UniqueFd fd = TRY(OpenMember(path));
  Hasher hasher;
  oci::Descriptor out;
  std::string magic;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return KernelError("read(2) member=" + path);
    if (size == 0) break;
    const std::string_view data(buffer.data(), static_cast<std::size_t>(size));
    if (out.size == 0) magic = data.substr(0, 4);
    out.size += data.size();
    hasher.Update(data);
  }
  out.digest = hasher.Finish().String();
  out.media_type = "application/vnd.oci.image.layer.v1.tar";
  if (magic.starts_with("\x1f\x8b")) out.media_type += "+gzip";
  if (magic.starts_with("\x28\xb5\x2f\xfd")) out.media_type += "+zstd";
  return out;
}

Result<std::string> Loader::Install(ArchivedImage archived) {
  const Document& manifest = archived.manifest;
  const CheckedImage image =
      TRY(CheckImage(TRY(CheckManifest(manifest)), std::move(archived.config_json)));
  TRY(store_.content.Put(TRY(ParseDigest(image.manifest.config.digest)), image.config_json));
  TRY(store_.content.Put(manifest.digest, manifest.data));
  LayerInstaller::Options options;
  options.fetch = [&](const LayerSource& layer) {
    const std::string digest = layer.blob.String();
    const auto path = archived.layer_paths.find(digest);
    return Ingest(path == archived.layer_paths.end() ? BlobPath(digest) : path->second, layer);
  };
  const auto layers = TRY(LayerInstaller(store_, image.layers, options).Run());
  ImageRecord record = RecordOf(image, manifest, layers);
  record.tags = std::move(archived.tags);
  record.digests = std::move(archived.digests);
  TRY(store_.metadata->PutImage(record));
  return record.id;
}

// "io.containerd.image.name" is a whole name; "org.opencontainers.image.ref.name" may be one, or
// only a tag.
Result<std::vector<std::string>> Loader::NamesOf(const oci::Descriptor& descriptor) {
  const auto annotation = [&](const char* key) {
    const auto found = descriptor.annotations.find(key);
    return found == descriptor.annotations.end() ? std::string() : found->second;
  };
  std::string name = annotation("io.containerd.image.name");
  const std::string ref = annotation("org.opencontainers.image.ref.name");
  if (name.empty() && ref.find_first_of("/:@") != std::string::npos) name = ref;
  if (name.empty() && !name_if_none_.empty()) {
    name = name_if_none_;
    const Reference base = TRY(ParseReference(name));
    if (!ref.empty() && name.find_first_of(":@", name.rfind('/') + 1) == std::string::npos)
      name = base.Name() + ":" + ref;
  }
  if (name.empty()) return std::vector<std::string>();
  return std::vector{TRY(ParseReference(name)).String()};
}

Result<std::string> Loader::LoadDescriptor(const oci::Descriptor& top) {
  oci::Descriptor descriptor = top;
  std::string data = TRY(ReadBlob(descriptor, kMaxManifest));
  const std::string what = "manifest " + descriptor.digest;
  if (TRY(KindOfDocument(data, descriptor.media_type, what)) == DocumentKind::kIndex) {
    const oci::ImageIndex index = TRY(oci::ParseImageIndex(data, what));
    descriptor = TRY(SelectPlatform(index.manifests, oci::HostPlatform()));
    data = TRY(ReadBlob(descriptor, kMaxManifest));
    if (TRY(KindOfDocument(data, descriptor.media_type, "manifest " + descriptor.digest)) ==
        DocumentKind::kIndex)
      return Error{Code::kInvalidConfig, 0, what + ": an index of an index of an index"};
  }
  ArchivedImage archived;
  archived.manifest = {TRY(ParseDigest(descriptor.digest)), descriptor.media_type, std::move(data)};
  archived.config_json = TRY(ReadBlob(TRY(CheckManifest(archived.manifest)).config, kMaxConfig));
  for (const std::string& name : TRY(NamesOf(top))) {
    const Reference reference = TRY(ParseReference(name));
    if (reference.digest.empty()) archived.tags.push_back(name);
    archived.digests.push_back(reference.Name() + "@" + top.digest);
  }
  return Install(std::move(archived));
}

Result<std::vector<std::string>> Loader::LoadOciLayout() {
  const std::string text = TRY(ReadMember("index.json", kMaxManifest));
  TRY(CheckDocument(text, "index.json"));
  const oci::ImageIndex index = TRY(oci::ParseImageIndex(text, "index.json"));
  std::vector<oci::Descriptor> ours;
  for (const oci::Descriptor& descriptor : index.manifests) {
    // Entries for other machines are not an error as long as one is for this.
    if (!descriptor.platform.has_value() ||
        PlatformMatches(*descriptor.platform, oci::HostPlatform()))
      ours.push_back(descriptor);
  }
  if (ours.empty()) TRY(SelectPlatform(index.manifests, oci::HostPlatform()));
  std::vector<std::string> ids;
  for (const oci::Descriptor& descriptor : ours) ids.push_back(TRY(LoadDescriptor(descriptor)));
  return ids;
}

Result<std::string> Loader::LoadDockerEntry(const DockerEntry& entry) {
  if (entry.layers.size() > kMaxLayers)
    return Error{Code::kInvalidConfig, 0, "manifest.json: more than 256 layers"};
  ArchivedImage archived;
  archived.config_json = TRY(ReadMember(entry.config, kMaxConfig));
  oci::ImageManifest manifest;
  manifest.media_type = "application/vnd.oci.image.manifest.v1+json";
  manifest.config.media_type = "application/vnd.oci.image.config.v1+json";
  manifest.config.digest = DigestOf(archived.config_json).String();
  manifest.config.size = archived.config_json.size();
  for (const std::string& layer : entry.layers) {
    manifest.layers.push_back(TRY(DescribeLayer(layer)));
    archived.layer_paths[manifest.layers.back().digest] = layer;
  }
  std::string data = PrintJson(oci::ToJson(manifest));
  const Digest digest = DigestOf(data);
  archived.manifest = {digest, manifest.media_type, std::move(data)};
  for (const std::string& tag : entry.repo_tags)
    archived.tags.push_back(TRY(ParseReference(tag)).String());
  if (archived.tags.empty() && !name_if_none_.empty())
    archived.tags.push_back(TRY(ParseReference(name_if_none_)).String());
  return Install(std::move(archived));
}

Result<std::vector<std::string>> Loader::LoadDockerArchive() {
  const std::string text = TRY(ReadMember("manifest.json", kMaxManifest));
  TRY(CheckDocument(text, "manifest.json"));
  const Json json = TRY(ParseJson(text, "manifest.json"));
  if (!json.is_array() || json.empty())
    return Error{Code::kInvalidConfig, 0, "manifest.json: expected an array of images"};
  std::vector<std::string> ids;
  for (const Json& member : json) {
    DockerEntry entry;
    TRY(ReadJsonDocument(member, "manifest.json", entry));
    ids.push_back(TRY(LoadDockerEntry(entry)));
  }
  return ids;
}

Result<std::vector<std::string>> Loader::Run() {
  if (Has("index.json")) return LoadOciLayout();
  if (Has("manifest.json")) return LoadDockerArchive();
  return Error{Code::kInvalidConfig, 0,
               "neither an OCI layout (index.json) nor a docker-archive (manifest.json)"};
}

}  // namespace

Result<std::vector<std::string>> LoadArchive(StoreContext& store, const std::string& path,
                                             const std::string& name_if_none) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!file) {
    Error error = KernelError("open(2)");
    if (error.errnum == ENOENT) error.code = Code::kNotFound;
    return error;
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return KernelError("fstat(2)");
  if (S_ISDIR(status.st_mode)) return Loader(store, file.get(), name_if_none).Run();
  // The same careful unpacking as a layer's: an archive is no less hostile.
  const auto directory =
      TRY(TemporaryDirectory::Make(store.content.IngestPath("load-" + RandomHex(8))));
  const UniqueFd root = TRY(sys::OpenRoot(directory.path()));
  LayerOptions options;
  options.limit_bytes = 100ULL << 30;
  TRY(UnpackLayer(std::move(file), root.get(), options));
  return Loader(store, root.get(), name_if_none).Run();
}

}  // namespace coracle::image
