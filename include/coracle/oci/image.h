// OCI image-spec 1.1 as plain structs (manifest, index, config), and Docker's schema 2 forms, which
// differ in media types only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/json_fwd.h"
#include "coracle/base/result.h"

namespace coracle::oci {

struct Platform {
  std::string os, architecture, variant;
};

struct Descriptor {
  std::string media_type, digest;
  std::uint64_t size = 0;  // bytes
  std::vector<std::string> urls;
  std::optional<Platform> platform;
  std::map<std::string, std::string> annotations;
};

struct ImageIndex {
  std::string media_type;
  std::vector<Descriptor> manifests;
};

struct ImageManifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;
};

// What of an image's configuration may become part of a container, and nothing else: every member
// is hostile input.
struct ImageConfig {
  Platform platform;
  std::string user, working_dir, stop_signal;
  std::vector<std::string> env, entrypoint, cmd;
  std::vector<std::string> volumes, exposed_ports;  // keys of the maps
  std::map<std::string, std::string> labels;
  std::vector<std::string> diff_ids;
  std::string created;  // RFC 3339, as given
};

Result<ImageIndex> ParseImageIndex(std::string_view text, const std::string& what);
Result<ImageManifest> ParseImageManifest(std::string_view text, const std::string& what);
Result<ImageConfig> ParseImageConfig(std::string_view text, const std::string& what);
Json ToJson(const Descriptor& descriptor);
Json ToJson(const ImageManifest& manifest);
Json ToJson(const ImageIndex& index);

// The platform this program runs on ("linux", "amd64", "").
Platform HostPlatform();

}  // namespace coracle::oci
