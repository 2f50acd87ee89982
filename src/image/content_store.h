// Blobs as plain files, named by their digest: blobs/sha256/<hex>. A blob appears whole or not at
// all: it grows in ingest/, is hashed while it grows, and is renamed when size and digest are
// right.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "digest.h"

namespace coracle::image {

struct BlobExpectation {
  Digest digest;
  std::optional<std::uint64_t> size;  // bytes, when the descriptor says so
};

// A blob on its way in. Holding it is the right to write this blob: others wait.
class BlobWriter {
 public:
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  Status Write(std::string_view data);
  // From the start again.
  Status Truncate();
  // Checks size and digest, syncs, gives it its name. What is wrong is thrown away.
  Status Commit();

 private:
  friend class ContentStore;
  BlobWriter(BlobExpectation expected, UniqueFd fd, std::string path, std::string target)
      : expected_(std::move(expected)),
        fd_(std::move(fd)),
        path_(std::move(path)),
        target_(std::move(target)),
        hasher_(expected_.digest.algorithm) {}
  Status HashExisting();

  BlobExpectation expected_;
  UniqueFd fd_;
  std::string path_, target_;
  Hasher hasher_;
  std::uint64_t offset_ = 0;
};

class ContentStore {
 public:
  explicit ContentStore(std::string root) : root_(std::move(root)) {}
  Status MakeLayout();

  [[nodiscard]] bool Has(const Digest& digest) const;
  // Waits for other writers of the same blob; none when it is there (then).
  Result<std::optional<BlobWriter>> StartWriting(const BlobExpectation& expected,
                                                 const std::stop_token& cancel);
  Status Put(const Digest& digest, std::string_view data);
  // A file that is known to have this digest becomes the blob (same filesystem).
  Status Adopt(const Digest& digest, const std::string& path);
  Result<UniqueFd> Open(const Digest& digest) const;
  // The whole of a small one, verified.
  Result<std::string> Read(const Digest& digest, std::size_t limit_bytes) const;
  Status Remove(const Digest& digest) const;
  [[nodiscard]] std::vector<Digest> List() const;
  [[nodiscard]] std::string PathOf(const Digest& digest) const;
  [[nodiscard]] std::string IngestPath(const std::string& name) const;

 private:
  std::string root_;
};

}  // namespace coracle::image
