// From a reference to a recorded image: resolve, choose the platform, fetch, unpack.
#pragma once

#include <string>

#include "coracle/base/result.h"
#include "coracle/image/image_store.h"
#include "layer_installer.h"
#include "registry.h"
#include "store_context.h"

namespace coracle::image {

// The id of the image. The caller holds the store's lock (shared).
Result<std::string> PullImage(StoreContext& store, const Reference& reference,
                              const PullOptions& options);

// A manifest whose documents are read and found to belong together.
struct CheckedImage {
  oci::ImageManifest manifest;
  oci::ImageConfig config;
  std::string config_json;
  std::vector<LayerSource> layers;
};
Result<oci::ImageManifest> CheckManifest(const Document& document);
Result<CheckedImage> CheckImage(const oci::ImageManifest& manifest, std::string config_json);
ImageRecord RecordOf(const CheckedImage& image, const Document& manifest,
                     const std::vector<LayerRecord>& layers);

}  // namespace coracle::image
