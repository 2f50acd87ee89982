// Small images for tests, written as OCI layouts.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "coracle/base/json.h"
#include "digest.h"
#include "tar_builder.h"

namespace coracle::image::test {

class ImageBuilder {
 public:
  explicit ImageBuilder(std::string directory) : directory_(std::move(directory)) {
    std::filesystem::create_directories(directory_ + "/blobs/sha256");
    std::ofstream(directory_ + "/oci-layout") << R"({"imageLayoutVersion":"1.0.0"})";
  }
  // A layer's tar, as it is in the image.
  ImageBuilder& Layer(const TarBuilder& tar) { return Layer(tar, DigestOf(tar.Finish()).String()); }
  ImageBuilder& Layer(const TarBuilder& tar, const std::string& diff_id) {
    diff_ids_.push_back(diff_id);
    layers_.push_back(Blob(tar.Finish(), "application/vnd.oci.image.layer.v1.tar"));
    return *this;
  }
  // Writes config, manifest and index; returns the image's id.
  std::string Write(const std::string& name, const std::string& architecture = "amd64") {
    const Json config = {{"architecture", architecture},
                         {"os", "linux"},
                         {"config", {{"Cmd", {"/bin/sh"}}, {"Labels", {{"layout", directory_}}}}},
                         {"rootfs", {{"type", "layers"}, {"diff_ids", diff_ids_}}}};
    const Json config_blob = Blob(PrintJson(config), "application/vnd.oci.image.config.v1+json");
    const Json manifest = {{"schemaVersion", 2}, {"config", config_blob}, {"layers", layers_}};
    Json descriptor = Blob(PrintJson(manifest), "application/vnd.oci.image.manifest.v1+json");
    if (!name.empty()) descriptor["annotations"] = {{"io.containerd.image.name", name}};
    std::ofstream(directory_ + "/index.json")
        << PrintJson({{"schemaVersion", 2}, {"manifests", Json::array({descriptor})}});
    return config_blob["digest"].get<std::string>();
  }

 private:
  Json Blob(const std::string& data, const std::string& media_type) {
    const Digest digest = DigestOf(data);
    std::ofstream(directory_ + "/blobs/sha256/" + digest.hex) << data;
    return {{"mediaType", media_type}, {"digest", digest.String()}, {"size", data.size()}};
  }
  std::string directory_;
  std::vector<std::string> diff_ids_;
  Json layers_ = Json::array();
};

}  // namespace coracle::image::test
