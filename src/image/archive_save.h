// Images into an archive that other tools load: OCI layout or docker-archive, as tar.
#pragma once

#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/image/image_store.h"
#include "store_context.h"

namespace coracle::image {

struct SavedImage {
  ImageRecord record;
  std::vector<std::string> names;  // under which it was asked for
};
// The caller holds the store's lock (shared). A file appears whole or not at all; anything else
// (a pipe, /dev/stdout) is written to as it is.
Status SaveArchive(StoreContext& store, const std::vector<SavedImage>& images,
                   const std::string& path, ImageStore::ArchiveFormat format);

}  // namespace coracle::image
