// What the parts of the image store share: its directories and records.
//
//   <root>/metadata.db     records (SQLite)
//   <root>/blobs/sha256/   manifests, configs, layers as the registry has them
//   <root>/l/<id>/         one unpacked layer each; the name is short because overlayfs gets all
//                          of them in one page of mount options. l/empty is an empty one
//   <root>/s/<id>/         fs/ and work/ of one snapshot
//   <root>/ingest/         what is on its way in
//   <root>/lock            held shared by who adds content, exclusively by who deletes it
#pragma once

#include <memory>
#include <string>

#include "content_store.h"
#include "metadata.h"

namespace coracle::image {

struct StoreContext {
  std::string root;
  ContentStore content;
  std::unique_ptr<Metadata> metadata;

  [[nodiscard]] std::string LayersDir() const { return root + "/l"; }
  [[nodiscard]] std::string LayerDir(const std::string& name) const { return root + "/l/" + name; }
  [[nodiscard]] std::string SnapshotDir(std::int64_t id) const {
    return root + "/s/" + std::to_string(id);
  }
  [[nodiscard]] std::string LockPath() const { return root + "/lock"; }
};

}  // namespace coracle::image
