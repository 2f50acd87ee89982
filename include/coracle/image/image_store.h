// Images on this host: pulled, loaded, listed, removed; and root filesystems made of them.
//
// Several processes may use one root at a time (the daemon and `coracle image`): SQLite holds the
// records, file locks guard the content, and nothing is cached longer than one call.
// All calls are safe from several threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/image.h"
#include "coracle/oci/spec.h"

namespace coracle::image {

// What CRI calls an image: one id, any number of names.
struct Image {
  std::string id;                         // digest of its config: "sha256:..."
  std::vector<std::string> repo_tags;     // "docker.io/library/busybox:latest"
  std::vector<std::string> repo_digests;  // "docker.io/library/busybox@sha256:..."
  std::uint64_t size = 0;                 // bytes, compressed layers + config + manifest
  bool pinned = false;
  oci::ImageConfig config;
  std::string config_json;  // as stored, for `inspect`
};

// Credentials of one registry. Never logged.
struct Auth {
  std::string username, password;
  std::string auth;            // base64(username:password)
  std::string identity_token;  // OAuth2 refresh token
  std::string registry_token;  // bearer token as it is
  std::string server_address;  // if set, only for this host
};

struct Progress {
  std::string digest;                 // of the layer
  std::uint64_t done = 0, total = 0;  // bytes of the compressed blob
  enum class Phase : std::uint8_t { kWaiting, kDownloading, kUnpacking, kDone, kExists } phase;
};

struct PullOptions {
  std::optional<Auth> auth;
  std::string registry_config_dir = "/etc/containerd/certs.d";  // hosts.toml per registry
  std::optional<oci::Platform> platform;                        // default: this host's
  unsigned parallel_downloads = 4;
  std::chrono::seconds no_progress_timeout{60};
  std::stop_token cancel = {};
  std::function<void(const Progress&)> progress = {};  // from any thread, one call at a time
};

struct Usage {  // of the whole store
  std::uint64_t bytes = 0, inodes = 0;
};

// A writable root filesystem on top of an image, not mounted: `mounts` is what to mount
// (overlay), as the runtime and the shim's Task API take it.
struct Snapshot {
  std::vector<oci::Mount> mounts;
  std::string upper_dir;  // where the container's own writes are
};

class ImageStore {
 public:
  // Opens or makes `root` (default of the programs: /var/lib/coracle/images).
  static Result<std::unique_ptr<ImageStore>> Open(const std::string& root);
  virtual ~ImageStore() = default;

  // `reference` as a person writes it: "busybox", "ghcr.io/a/b:1", "x@sha256:...".
  virtual Result<Image> Pull(const std::string& reference, const PullOptions& options) = 0;

  virtual Result<std::vector<Image>> List() = 0;
  // By reference, id, or unambiguous prefix of an id; kNotFound otherwise.
  virtual Result<Image> Find(const std::string& reference_or_id) = 0;
  // A reference that is one of several names: only that name. An id (or the last name): the image,
  // its content and its layers, except those in use. Unknown: kNotFound.
  virtual Status Remove(const std::string& reference_or_id) = 0;
  // CRI's RemoveImage: all names at once.
  virtual Status RemoveAllNames(const std::string& reference_or_id) = 0;
  virtual Status SetPinned(const std::string& reference_or_id, bool pinned) = 0;

  // `key` is chosen by the caller (a container id); the snapshot keeps its layers alive.
  virtual Result<Snapshot> Prepare(const std::string& key, const std::string& image_id) = 0;
  // Read-only view of the image, for mounts of images.
  virtual Result<Snapshot> PrepareReadOnly(const std::string& key, const std::string& image_id) = 0;
  virtual Result<Snapshot> GetSnapshot(const std::string& key) = 0;
  // Unknown key: success. The caller has unmounted it.
  virtual Status RemoveSnapshot(const std::string& key) = 0;
  virtual Result<std::vector<std::string>> SnapshotKeys() = 0;
  // Of the writable layer: walks it, so call it rarely.
  virtual Result<Usage> SnapshotUsage(const std::string& key) = 0;
  virtual Result<Usage> StoreUsage() = 0;
  // The image's merged tree, read-only, as a directory descriptor (for sys/path.h); mounted nowhere
  // that anybody else sees.
  virtual Result<UniqueFd> OpenTree(const std::string& image_id) = 0;

  // docker-archive or OCI layout (directory or tar), recognised by content. Returns what it held.
  virtual Result<std::vector<Image>> Load(const std::string& path,
                                          const std::string& name_if_none = "") = 0;
  enum class ArchiveFormat : std::uint8_t { kOci, kDocker };
  virtual Status Save(const std::vector<std::string>& references, const std::string& path,
                      ArchiveFormat format) = 0;

  // Blobs, layers and temporary files that no record names (after a crash).
  virtual Status CollectGarbage() = 0;
};

// "busybox" -> "docker.io/library/busybox:latest". A malformed one is kInvalidConfig, and says
// which part is wrong.
struct Reference {
  std::string registry;                      // "docker.io"
  std::string repository;                    // "library/busybox"
  std::string tag;                           // empty when only a digest was given
  std::string digest;                        // "sha256:..." or empty
  [[nodiscard]] std::string Name() const;    // registry/repository
  [[nodiscard]] std::string String() const;  // with tag, or digest if there is one
};
Result<Reference> ParseReference(const std::string& text);

}  // namespace coracle::image
