// A layer's bytes: decompressed (gzip, zstd, or neither, recognised by content), hashed as they
// pass, and read as tar entries by libarchive.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "digest.h"

struct archive;
struct archive_entry;

namespace coracle::image {

struct FreeArchive {
  void operator()(archive* reader) const;
};
using ArchivePtr = std::unique_ptr<archive, FreeArchive>;

// Text of the last failure; ENOSPC and the like keep their errno.
Error ArchiveError(archive* reader, const std::string& doing);

// The decompressed bytes of a file.
class Decompressor {
 public:
  // More than `limit_bytes` of output is an error: a decompression bomb.
  static Result<std::unique_ptr<Decompressor>> Open(UniqueFd file, std::uint64_t limit_bytes);
  // Empty at the end. Valid until the next call.
  Result<std::string_view> Next();
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  Decompressor(UniqueFd file, std::uint64_t limit_bytes)
      : file_(std::move(file)), limit_bytes_(limit_bytes) {}
  UniqueFd file_;
  std::uint64_t limit_bytes_, bytes_ = 0;
  ArchivePtr reader_;
};

class TarStream {
 public:
  struct Options {
    std::uint64_t limit_bytes;
    std::string digest_algorithm = "sha256";
    std::stop_token cancel = {};
  };
  static Result<std::unique_ptr<TarStream>> Open(UniqueFd file, const Options& options);
  // Null at the end of the archive.
  Result<archive_entry*> NextEntry();
  // The current entry's next piece of data at `offset` (sparse files have gaps); empty at its end.
  struct Piece {
    std::string_view data;
    std::uint64_t offset = 0;
  };
  Result<Piece> NextPiece();
  // Reads what follows the archive's end and gives the digest of everything.
  Result<Digest> Finish();
  [[nodiscard]] std::uint64_t bytes() const { return source_->bytes(); }

 private:
  explicit TarStream(const Options& options)
      : cancel_(options.cancel), hasher_(options.digest_algorithm) {}
  static long OnRead(archive* reader, void* self, const void** data);
  Result<std::string_view> ReadSource();
  Error Failed(const std::string& doing);

  std::stop_token cancel_;
  std::unique_ptr<Decompressor> source_;
  Hasher hasher_;
  ArchivePtr reader_;
  std::string seed_;
  bool seeded_ = false;
  std::optional<Error> source_error_;
};

}  // namespace coracle::image
