#include "content_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>

#include "coracle/base/file.h"
#include "file_lock.h"

namespace coracle::image {
namespace {

constexpr std::array<const char*, 2> kAlgorithms = {"sha256", "sha512"};

Error Mismatch(const Digest& digest, const std::string& problem) {
  return {Code::kInvalidConfig, EBADMSG, "blob " + digest.String() + ": " + problem};
}

Status SyncAndRename(int fd, const std::string& from, const std::string& to) {
  if (::fsync(fd) != 0) return KernelError("fsync(2) path=" + from);
  if (::rename(from.c_str(), to.c_str()) != 0)
    return KernelError("rename(2) from=" + from + " to=" + to);
  return {};
}

}  // namespace

Status BlobWriter::HashExisting() {
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t size =
        ::pread(fd_.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset_));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return KernelError("pread(2) path=" + path_);
    if (size == 0) break;
    hasher_.Update({buffer.data(), static_cast<std::size_t>(size)});
    offset_ += static_cast<std::uint64_t>(size);
  }
  if (expected_.size.has_value() && offset_ > *expected_.size) return Truncate();
  return {};
}

Status BlobWriter::Write(std::string_view data) {
  if (expected_.size.has_value() && offset_ + data.size() > *expected_.size)
    return Mismatch(expected_.digest,
                    "longer than the " + std::to_string(*expected_.size) + " bytes promised");
  while (!data.empty()) {
    const ssize_t size = ::pwrite(fd_.get(), data.data(), data.size(), static_cast<off_t>(offset_));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) {
      const Error error = KernelError("pwrite(2) path=" + path_);
      if (error.errnum == ENOSPC) (void)Truncate();  // others need the room
      return error;
    }
    hasher_.Update(data.substr(0, static_cast<std::size_t>(size)));
    offset_ += static_cast<std::uint64_t>(size);
    data.remove_prefix(static_cast<std::size_t>(size));
  }
  return {};
}

Status BlobWriter::Truncate() {
  if (::ftruncate(fd_.get(), 0) != 0) return KernelError("ftruncate(2) path=" + path_);
  offset_ = 0;
  hasher_ = Hasher(expected_.digest.algorithm);
  return {};
}

Status BlobWriter::Commit() {
  Hasher finished = std::exchange(hasher_, Hasher(expected_.digest.algorithm));
  const Digest got = finished.Finish();
  if (expected_.size.has_value() && offset_ != *expected_.size) {
    const Error error =
        Mismatch(expected_.digest, "has " + std::to_string(offset_) + " bytes, not " +
                                       std::to_string(*expected_.size) + " as promised");
    TRY(Truncate());
    return error;
  }
  if (got != expected_.digest) {
    TRY(Truncate());
    return Mismatch(expected_.digest, "content has digest " + got.String());
  }
  return SyncAndRename(fd_.get(), path_, target_);
}

Status ContentStore::MakeLayout() {
  for (const char* algorithm : kAlgorithms)
    TRY(MakeDirectories(root_ + "/blobs/" + algorithm, 0700));
  return MakeDirectories(root_ + "/ingest", 0700);
}

std::string ContentStore::PathOf(const Digest& digest) const {
  return root_ + "/blobs/" + digest.algorithm + "/" + digest.hex;
}

std::string ContentStore::IngestPath(const std::string& name) const {
  return root_ + "/ingest/" + name;
}

bool ContentStore::Has(const Digest& digest) const {
  return ::access(PathOf(digest).c_str(), F_OK) == 0;
}

Result<std::optional<BlobWriter>> ContentStore::StartWriting(const BlobExpectation& expected,
                                                             const std::stop_token& cancel) {
  if (Has(expected.digest)) return std::optional<BlobWriter>();
  const std::string path = IngestPath(expected.digest.algorithm + "-" + expected.digest.hex);
  UniqueFd fd = TRY(LockFile(path, LockMode::kExclusive, cancel));
  if (Has(expected.digest)) {  // somebody was faster, and we made an empty file anew
    ::unlink(path.c_str());
    return std::optional<BlobWriter>();
  }
  BlobWriter writer(expected, std::move(fd), path, PathOf(expected.digest));
  TRY(writer.HashExisting());
  return std::optional<BlobWriter>(std::move(writer));
}

Status ContentStore::Put(const Digest& digest, std::string_view data) {
  auto writer = TRY(StartWriting({digest, data.size()}, {}));
  if (!writer.has_value()) return {};
  TRY(writer->Truncate());
  TRY(writer->Write(data));
  return writer->Commit();
}

Status ContentStore::Adopt(const Digest& digest, const std::string& path) {
  if (Has(digest)) return {};
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return KernelError("open(2) path=" + path);
  return SyncAndRename(fd.get(), path, PathOf(digest));
}

Result<UniqueFd> ContentStore::Open(const Digest& digest) const {
  UniqueFd fd(::open(PathOf(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (fd) return fd;
  Error error = KernelError("open(2) path=" + PathOf(digest));
  if (error.errnum == ENOENT) error.code = Code::kNotFound;
  return error;
}

Result<std::string> ContentStore::Read(const Digest& digest, std::size_t limit_bytes) const {
  const UniqueFd fd = TRY(Open(digest));
  std::string data = TRY(ReadFd(fd.get(), "blob " + digest.String(), limit_bytes));
  if (DigestOf(data, digest.algorithm) != digest)
    return Mismatch(digest, "damaged: its content has another digest");
  return data;
}

Status ContentStore::Remove(const Digest& digest) const {
  if (::unlink(PathOf(digest).c_str()) == 0 || errno == ENOENT) return {};
  return KernelError("unlink(2) path=" + PathOf(digest));
}

std::vector<Digest> ContentStore::List() const {
  std::vector<Digest> out;
  for (const char* algorithm : kAlgorithms) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(root_ + "/blobs/" + algorithm, error), end;
         !error && entry != end; entry.increment(error)) {
      Result<Digest> digest =
          ParseDigest(std::string(algorithm) + ":" + entry->path().filename().string());
      if (digest.has_value()) out.push_back(*std::move(digest));
    }
  }
  return out;
}

}  // namespace coracle::image
