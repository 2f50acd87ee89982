#include "coracle/oci/image.h"

#include <algorithm>

#include "coracle/base/json.h"

namespace coracle::oci {
namespace {

constexpr std::string_view kIndexTypes[] = {
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json"};
constexpr std::string_view kManifestTypes[] = {
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json"};
constexpr std::size_t kMaxLayers = 1000;  // far above what overlayfs or any registry takes

// A digest names a file in our store: only what cannot be anything else is let through.
bool IsDigest(std::string_view digest) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  for (const auto& [prefix, length] :
       {std::pair<std::string_view, std::size_t>{"sha256:", 64}, {"sha512:", 128}}) {
    if (digest.starts_with(prefix)) {
      const auto hex = digest.substr(prefix.size());
      return hex.size() == length && std::ranges::all_of(hex, is_hex);
    }
  }
  return false;
}

constexpr const char* kDigestRule =
    "not a digest; allowed: sha256: and 64, or sha512: and 128 lower-case hexadecimal digits";

// What the top of an index and of a manifest have in common.
struct Header {
  std::int64_t schema_version = 0;
  std::string media_type;
};

void ReadHeader(JsonReader& reader, Header& header) {
  reader.Required("schemaVersion", header.schema_version);
  if (header.schema_version == 1) {
    reader.Problem("schemaVersion",
                   "Docker image manifest schema 1 is not supported: push the image again with a "
                   "current tool");
  } else if (header.schema_version != 2) {
    reader.Problem("schemaVersion", "must be 2");
  }
  reader.Optional("mediaType", header.media_type);
}

template <std::size_t N>
void CheckMediaType(JsonReader& reader, const std::string& media_type,
                    const std::string_view (&allowed)[N]) {
  if (media_type.empty() || std::ranges::find(allowed, media_type) != std::end(allowed)) return;
  std::string text = "unknown media type \"" + media_type + "\"; allowed:";
  for (const auto one : allowed) text.append(" ").append(one);
  reader.Problem("mediaType", text);
}

template <class T>
Result<T> Parse(std::string_view text, const std::string& what) {
  T out;
  TRY(ReadJsonDocument(TRY(ParseJson(text, what)), what, out));
  return out;
}

// The member "config" of an image's configuration.
struct ContainerConfig {
  ImageConfig& image;
};

std::vector<std::string> Keys(const std::map<std::string, Json>& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

void Read(JsonReader& reader, ContainerConfig& config) {
  ImageConfig& image = config.image;
  reader.Optional("User", image.user);
  reader.Optional("WorkingDir", image.working_dir);
  reader.Optional("StopSignal", image.stop_signal);
  reader.Optional("Env", image.env);
  reader.Optional("Entrypoint", image.entrypoint);
  reader.Optional("Cmd", image.cmd);
  reader.Optional("Labels", image.labels);
  std::map<std::string, Json> volumes;
  std::map<std::string, Json> ports;
  reader.Optional("Volumes", volumes);
  reader.Optional("ExposedPorts", ports);
  image.volumes = Keys(volumes);
  image.exposed_ports = Keys(ports);
}

struct RootFilesystem {
  std::string type;
  std::vector<std::string> diff_ids;
};

void Read(JsonReader& reader, RootFilesystem& rootfs) {
  reader.Required("type", rootfs.type);
  if (!rootfs.type.empty() && rootfs.type != "layers") reader.Problem("type", "must be \"layers\"");
  reader.Required("diff_ids", rootfs.diff_ids);
  for (std::size_t i = 0; i < rootfs.diff_ids.size(); ++i) {
    if (!IsDigest(rootfs.diff_ids[i]))
      reader.Problem("diff_ids", "entry " + std::to_string(i) + " is " + kDigestRule);
  }
  if (rootfs.diff_ids.size() > kMaxLayers) reader.Problem("diff_ids", "more than 1000 layers");
}

}  // namespace

void Read(JsonReader& reader, Platform& platform) {
  reader.Optional("os", platform.os);
  reader.Optional("architecture", platform.architecture);
  reader.Optional("variant", platform.variant);
}

void Read(JsonReader& reader, Descriptor& descriptor) {
  reader.Required("mediaType", descriptor.media_type);
  reader.Required("digest", descriptor.digest);
  if (!IsDigest(descriptor.digest)) reader.Problem("digest", kDigestRule);
  reader.Required("size", descriptor.size);
  reader.Optional("urls", descriptor.urls);
  reader.Optional("platform", descriptor.platform);
  reader.Optional("annotations", descriptor.annotations);
}

void Read(JsonReader& reader, ImageIndex& index) {
  Header header;
  ReadHeader(reader, header);
  CheckMediaType(reader, header.media_type, kIndexTypes);
  index.media_type = header.media_type.empty() ? kIndexTypes[0] : header.media_type;
  reader.Required("manifests", index.manifests);
}

void Read(JsonReader& reader, ImageManifest& manifest) {
  Header header;
  ReadHeader(reader, header);
  if (header.schema_version != 2) return;  // of another form: the rest would only be noise
  CheckMediaType(reader, header.media_type, kManifestTypes);
  manifest.media_type = header.media_type.empty() ? kManifestTypes[0] : header.media_type;
  reader.Required("config", manifest.config);
  reader.Required("layers", manifest.layers);
  if (manifest.layers.size() > kMaxLayers) reader.Problem("layers", "more than 1000 layers");
}

void Read(JsonReader& reader, ImageConfig& config) {
  reader.Required("architecture", config.platform.architecture);
  reader.Required("os", config.platform.os);
  reader.Optional("variant", config.platform.variant);
  reader.Optional("created", config.created);
  ContainerConfig container{config};
  reader.Optional("config", container);
  RootFilesystem rootfs;
  reader.Required("rootfs", rootfs);
  config.diff_ids = std::move(rootfs.diff_ids);
}

Result<ImageIndex> ParseImageIndex(std::string_view text, const std::string& what) {
  return Parse<ImageIndex>(text, what);
}

Result<ImageManifest> ParseImageManifest(std::string_view text, const std::string& what) {
  return Parse<ImageManifest>(text, what);
}

Result<ImageConfig> ParseImageConfig(std::string_view text, const std::string& what) {
  return Parse<ImageConfig>(text, what);
}

Json ToJson(const Descriptor& descriptor) {
  Json json = {{"mediaType", descriptor.media_type},
               {"digest", descriptor.digest},
               {"size", descriptor.size}};
  if (!descriptor.urls.empty()) json["urls"] = descriptor.urls;
  if (descriptor.platform) {
    Json& platform = json["platform"] = {{"architecture", descriptor.platform->architecture},
                                         {"os", descriptor.platform->os}};
    if (!descriptor.platform->variant.empty()) platform["variant"] = descriptor.platform->variant;
  }
  if (!descriptor.annotations.empty()) json["annotations"] = descriptor.annotations;
  return json;
}

Json ToJson(const ImageManifest& manifest) {
  Json json = {{"schemaVersion", 2},
               {"mediaType", manifest.media_type},
               {"config", ToJson(manifest.config)},
               {"layers", Json::array()}};
  for (const auto& layer : manifest.layers) json["layers"].push_back(ToJson(layer));
  return json;
}

Json ToJson(const ImageIndex& index) {
  Json json = {{"schemaVersion", 2}, {"mediaType", index.media_type}, {"manifests", Json::array()}};
  for (const auto& manifest : index.manifests) json["manifests"].push_back(ToJson(manifest));
  return json;
}

Platform HostPlatform() {
#if defined(__x86_64__)
  return {"linux", "amd64", ""};
#elif defined(__aarch64__)
  return {"linux", "arm64", "v8"};
#elif defined(__riscv)
  return {"linux", "riscv64", ""};
#else
#error "name this architecture as Go's GOARCH does"
#endif
}

}  // namespace coracle::oci
