// Unpacks one image layer into a directory of its own, in the form that overlayfs stacks: a
// whiteout becomes a character device 0:0, an opaque directory the xattr trusted.overlay.opaque.
// Everything in a layer is hostile: every path is resolved inside the directory (sys/path.h).
#pragma once

#include <time.h>

#include <cstdint>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "digest.h"

namespace coracle::image {

struct LayerOptions {
  std::uint64_t limit_bytes = 20ULL << 30;  // of the uncompressed tar
  std::string digest_algorithm = "sha256";  // of the diff id
  std::stop_token cancel = {};
};

// What was unpacked, and what only the layers below can complete.
struct UnpackedLayer {
  Digest diff_id;
  std::uint64_t tar_bytes = 0;
  std::uint64_t bytes = 0, inodes = 0;        // on disk, about
  std::set<std::string> implied_directories;  // parents that the tar does not list
  bool root_listed = false, root_opaque = false;
  struct Link {
    std::string path, target;
  };
  std::vector<Link> missing_links;                  // hard links to files of lower layers
  std::map<std::string, timespec> directory_times;  // set last, when nothing changes any more

  [[nodiscard]] bool NeedsLower() const {
    return !implied_directories.empty() || !missing_links.empty() || root_opaque;
  }
};

// `root_fd` is a fresh directory that nobody else writes to.
Result<UnpackedLayer> UnpackLayer(UniqueFd blob, int root_fd, const LayerOptions& options);

// `lower_fd`: the merged view of all layers below, or -1 for none. If NeedsLower() is false, the
// directory of the next lower layer will do.
Status FinishLayer(const UnpackedLayer& layer, int root_fd, int lower_fd);

}  // namespace coracle::image
