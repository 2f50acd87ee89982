#include "puller.h"

#include <algorithm>

#include "document.h"
#include "layer_installer.h"
#include "platform.h"

namespace coracle::image {
namespace {

constexpr int kMaxIndexDepth = 4;
constexpr std::uint64_t kMaxImage = 50ULL << 30;  // bytes, compressed

bool IsLayerType(const std::string& type) {
  if (type.starts_with("application/vnd.docker.image.rootfs."))
    return type.ends_with(".tar") || type.ends_with(".tar.gzip") || type.ends_with(".tar.zstd");
  for (const char* prefix : {"application/vnd.oci.image.layer.v1.tar",
                             "application/vnd.oci.image.layer.nondistributable.v1.tar"}) {
    if (type.starts_with(prefix)) {
      const std::string rest = type.substr(std::string_view(prefix).size());
      return rest.empty() || rest == "+gzip" || rest == "+zstd";
    }
  }
  return false;
}

class Puller {
 public:
  Puller(StoreContext& store, const Reference& reference, const PullOptions& options)
      : store_(store),
        reference_(reference),
        options_(options),
        forward_(options.cancel, [this] { stop_.request_stop(); }) {}
  Result<std::string> Run();

 private:
  Result<std::optional<std::string>> FindUnchanged(Registry& registry);
  Result<Document> FetchPlatformManifest(Registry& registry, Document document);
  Status FetchBlob(Registry& registry, const Digest& digest, std::uint64_t size,
                   const std::function<void(std::uint64_t)>& progress);
  Result<std::string> FetchConfig(Registry& registry, const oci::Descriptor& descriptor);
  void Report(const LayerSource& layer, std::uint64_t done, Progress::Phase phase);
  [[nodiscard]] oci::Platform Wanted() const {
    return options_.platform.value_or(oci::HostPlatform());
  }
  [[nodiscard]] std::string DigestName(const std::string& digest) const {
    return reference_.Name() + "@" + digest;
  }
  // "name:tag@digest" was asked for by digest: the tag may be elsewhere by now.
  [[nodiscard]] std::vector<std::string> TagNames() const {
    if (!reference_.digest.empty()) return {};
    return {reference_.String()};
  }

  StoreContext& store_;
  const Reference& reference_;
  const PullOptions& options_;
  std::stop_source stop_;
  std::stop_callback<std::function<void()>> forward_;
  std::mutex report_mutex_;
};

void Puller::Report(const LayerSource& layer, std::uint64_t done, Progress::Phase phase) {
  if (!options_.progress) return;
  const std::scoped_lock lock(report_mutex_);
  options_.progress({layer.blob.String(), done, layer.blob_bytes, phase});
}

// Asks the registry even for what we have: it says whether this caller may have it, and where the
// tag points now.
Result<std::optional<std::string>> Puller::FindUnchanged(Registry& registry) {
  if (options_.platform.has_value()) return std::optional<std::string>();
  const std::string name =
      reference_.digest.empty() ? reference_.String() : DigestName(reference_.digest);
  if (TRY(store_.metadata->IdsByName(name)).empty()) return std::optional<std::string>();
  const Result<Digest> now =
      registry.ResolveTag(reference_.digest.empty() ? reference_.tag : reference_.digest);
  if (!now.has_value()) return std::optional<std::string>();  // the GET that follows says why
  const auto ids = TRY(store_.metadata->IdsByName(DigestName(now->String())));
  if (ids.empty()) return std::optional<std::string>();
  TRY(store_.metadata->AddNames(ids.front(), TagNames(), {DigestName(now->String())}));
  return std::optional(ids.front());
}

Result<Document> Puller::FetchPlatformManifest(Registry& registry, Document document) {
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    const std::string what = "manifest " + document.digest.String();
    if (TRY(KindOfDocument(document.data, document.media_type, what)) == DocumentKind::kManifest)
      return document;
    const oci::ImageIndex index = TRY(oci::ParseImageIndex(document.data, what));
    if (index.manifests.size() > kMaxIndexEntries)
      return Error{Code::kInvalidConfig, 0, what + ": more than 1000 entries in an index"};
    const oci::Descriptor chosen = TRY(SelectPlatform(index.manifests, Wanted()));
    document = TRY(registry.FetchManifest(chosen.digest));
    if (document.data.size() != chosen.size)
      return Error{Code::kInvalidConfig, EBADMSG,
                   "manifest " + chosen.digest + ": has " + std::to_string(document.data.size()) +
                       " bytes, not " + std::to_string(chosen.size) + " as its index says"};
  }
  return Error{Code::kInvalidConfig, 0, "indexes nested more than 4 deep"};
}

Status Puller::FetchBlob(Registry& registry, const Digest& digest, std::uint64_t size,
                         const std::function<void(std::uint64_t)>& progress) {
  auto writer = TRY(store_.content.StartWriting({digest, size}, stop_.get_token()));
  if (!writer.has_value()) return {};
  // All of it may be here from last time.
  if (size > 0 && writer->offset() == size && writer->Commit().has_value()) return {};
  return registry.FetchBlob(digest, *writer, progress);
}

Result<std::string> Puller::FetchConfig(Registry& registry, const oci::Descriptor& descriptor) {
  if (descriptor.size > kMaxConfig)
    return Error{Code::kInvalidConfig, EFBIG,
                 "config " + descriptor.digest + ": larger than 8 MiB"};
  const Digest digest = TRY(ParseDigest(descriptor.digest));
  if (!store_.content.Has(digest))
    TRY(FetchBlob(registry, digest, descriptor.size, [](std::uint64_t) {}));
  return store_.content.Read(digest, kMaxConfig);
}

Result<std::string> Puller::Run() {
  const auto hosts = TRY(HostsFor(reference_.registry, options_.registry_config_dir));
  RegistryOptions registry_options;
  registry_options.credentials = TRY(CredentialsFor(options_.auth, reference_.registry));
  registry_options.no_progress_timeout = options_.no_progress_timeout;
  registry_options.cancel = stop_.get_token();
  Registry registry(reference_, hosts, registry_options);
  if (auto id = TRY(FindUnchanged(registry)); id.has_value()) return *id;

  Document top =
      TRY(registry.FetchManifest(reference_.digest.empty() ? reference_.tag : reference_.digest));
  const std::string top_digest = top.digest.String();
  const Document document = TRY(FetchPlatformManifest(registry, std::move(top)));
  const oci::ImageManifest manifest = TRY(CheckManifest(document));
  const CheckedImage image = TRY(CheckImage(manifest, TRY(FetchConfig(registry, manifest.config))));
  if (!image.config.platform.architecture.empty() &&
      !PlatformMatches(image.config.platform, Wanted()))
    return Error{Code::kNotFound, 0,
                 "image is for " + PlatformText(image.config.platform) + ", not for platform " +
                     PlatformText(Wanted())};
  TRY(store_.content.Put(document.digest, document.data));

  LayerInstaller::Options install;
  install.parallel = options_.parallel_downloads;
  install.stop = stop_;
  install.report = [this](const LayerSource& layer, Progress::Phase phase) {
    Report(layer, layer.blob_bytes, phase);
  };
  install.fetch = [&](const LayerSource& layer) {
    return FetchBlob(registry, layer.blob, layer.blob_bytes, [&](std::uint64_t done) {
      Report(layer, done, Progress::Phase::kDownloading);
    });
  };
  for (const LayerSource& layer : image.layers) Report(layer, 0, Progress::Phase::kWaiting);
  const auto layers = TRY(LayerInstaller(store_, image.layers, install).Run());
  ImageRecord record = RecordOf(image, document, layers);
  record.tags = TagNames();
  record.digests = {DigestName(top_digest)};
  TRY(store_.metadata->PutImage(record));
  return record.id;
}

}  // namespace

Result<oci::ImageManifest> CheckManifest(const Document& document) {
  const std::string what = "manifest " + document.digest.String();
  oci::ImageManifest manifest = TRY(oci::ParseImageManifest(document.data, what));
  const std::string& type = manifest.config.media_type;
  if (type != "application/vnd.oci.image.config.v1+json" &&
      type != "application/vnd.docker.container.image.v1+json")
    return Error{Code::kInvalidConfig, 0,
                 what + ": is not a container image but an artifact of type " + type};
  if (manifest.layers.size() > kMaxLayers)
    return Error{Code::kInvalidConfig, 0, what + ": more than 256 layers"};
  std::uint64_t total = 0;
  for (const oci::Descriptor& layer : manifest.layers) {
    if (!IsLayerType(layer.media_type))
      return Error{Code::kInvalidConfig, 0,
                   what + ": layer of unknown media type " + layer.media_type};
    if (layer.size > kMaxImage || (total += layer.size) > kMaxImage)
      return Error{Code::kInvalidConfig, EFBIG, what + ": layers of more than 50 GiB"};
  }
  return manifest;
}

Result<CheckedImage> CheckImage(const oci::ImageManifest& manifest, std::string config_json) {
  const std::string what = "config " + manifest.config.digest;
  TRY(CheckDocument(config_json, what));
  CheckedImage out{manifest, TRY(oci::ParseImageConfig(config_json, what)), "", {}};
  out.config_json = std::move(config_json);
  if (out.config.diff_ids.size() != manifest.layers.size())
    return Error{Code::kInvalidConfig, 0,
                 what + ": lists " + std::to_string(out.config.diff_ids.size()) +
                     " layers, the manifest " + std::to_string(manifest.layers.size())};
  for (std::size_t i = 0; i < manifest.layers.size(); ++i)
    out.layers.push_back({TRY(ParseDigest(manifest.layers[i].digest)),
                          TRY(ParseDigest(out.config.diff_ids[i])), manifest.layers[i].size,
                          manifest.layers[i].media_type});
  return out;
}

ImageRecord RecordOf(const CheckedImage& image, const Document& manifest,
                     const std::vector<LayerRecord>& layers) {
  ImageRecord record;
  record.id = image.manifest.config.digest;
  record.manifest_digest = manifest.digest.String();
  record.manifest_type = image.manifest.media_type;
  record.config_json = image.config_json;
  record.size = manifest.data.size() + image.config_json.size();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerSource& source = image.layers[i];
    record.size += source.blob_bytes;
    record.layers.push_back(
        {layers[i].id, source.blob.String(), source.media_type, source.blob_bytes});
  }
  return record;
}

Result<std::string> PullImage(StoreContext& store, const Reference& reference,
                              const PullOptions& options) {
  return Puller(store, reference, options).Run();
}

}  // namespace coracle::image
