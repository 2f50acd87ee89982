#include "tar_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>

#include <array>
#include <utility>

#include "file_lock.h"

namespace coracle::image {
namespace {

constexpr std::size_t kReadBlock = 256UL << 10;
constexpr std::size_t kTarBlock = 512;

// One header of a symlink. libarchive 3.6 loses a link target that stands in the PAX header alone
// (as Go writes one without a single ASCII character), unless it has seen a link before: so every
// archive gets one in front, which nobody else sees.
std::string SeedHeader() {
  std::string header(kTarBlock, '\0');
  const auto put = [&](std::size_t at, std::string_view text) {
    header.replace(at, text.size(), text);
  };
  put(0, "seed");
  put(100, "0000777");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000000000");
  put(136, "00000000000");
  put(148, "        ");
  put(156, "2seed");
  put(257, std::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  std::array<char, 8> text;
  std::snprintf(text.data(), text.size(), "%06o", sum);
  put(148, std::string_view(text.data(), 7));
  return header;
}

}  // namespace

void FreeArchive::operator()(archive* reader) const { archive_free(reader); }

Error ArchiveError(archive* reader, const std::string& doing) {
  const char* text = archive_error_string(reader);
  const int errnum = archive_errno(reader);
  const bool ours = errnum == ENOSPC || errnum == EDQUOT || errnum == EIO || errnum == ENOMEM;
  return {ours ? Code::kKernel : Code::kInvalidConfig, errnum > 0 ? errnum : 0,
          doing + ": " + (text == nullptr ? "damaged archive" : text)};
}

Result<std::unique_ptr<Decompressor>> Decompressor::Open(UniqueFd file, std::uint64_t limit_bytes) {
  std::unique_ptr<Decompressor> out(new Decompressor(std::move(file), limit_bytes));
  out->reader_.reset(archive_read_new());
  archive* const reader = out->reader_.get();
  archive_read_support_filter_gzip(reader);
  archive_read_support_filter_zstd(reader);
  archive_read_support_format_raw(reader);
  archive_read_support_format_empty(reader);
  if (archive_read_open_fd(reader, out->file_.get(), kReadBlock) != ARCHIVE_OK)
    return ArchiveError(reader, "decompress");
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(reader, &entry);
  if (result == ARCHIVE_EOF) {
    out->reader_.reset();  // an empty file
    return out;
  }
  if (result < ARCHIVE_WARN) return ArchiveError(reader, "decompress");
  // libarchive would peel off layer after layer; registries know one.
  if (archive_filter_count(reader) > 2)
    return Error{Code::kInvalidConfig, 0, "decompress: compressed more than once"};
  return out;
}

Result<std::string_view> Decompressor::Next() {
  if (reader_ == nullptr) return std::string_view();
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  do {
    const int result = archive_read_data_block(reader_.get(), &data, &size, &offset);
    if (result == ARCHIVE_EOF) return std::string_view();
    if (result < ARCHIVE_WARN) return ArchiveError(reader_.get(), "decompress");
  } while (size == 0);
  bytes_ += size;
  if (bytes_ > limit_bytes_)
    return Error{Code::kInvalidConfig, EFBIG,
                 "decompress: more than " + std::to_string(limit_bytes_) +
                     " bytes of output, far beyond the size of the blob"};
  return std::string_view(static_cast<const char*>(data), size);
}

Result<std::string_view> TarStream::ReadSource() {
  if (cancel_.stop_requested()) return Cancelled();
  const std::string_view data = TRY(source_->Next());
  hasher_.Update(data);
  return data;
}

long TarStream::OnRead(archive* reader, void* self, const void** data) {
  auto& stream = *static_cast<TarStream*>(self);
  if (!std::exchange(stream.seeded_, true)) {
    *data = stream.seed_.data();
    return static_cast<long>(stream.seed_.size());
  }
  Result<std::string_view> piece = stream.ReadSource();
  if (!piece.has_value()) {
    archive_set_error(reader, EIO, "%s", piece.error().message.c_str());
    stream.source_error_ = std::move(piece).error();
    return -1;
  }
  *data = piece->data();
  return static_cast<long>(piece->size());
}

Result<std::unique_ptr<TarStream>> TarStream::Open(UniqueFd file, const Options& options) {
  std::unique_ptr<TarStream> out(new TarStream(options));
  out->source_ = TRY(Decompressor::Open(std::move(file), options.limit_bytes));
  out->reader_.reset(archive_read_new());
  archive* const reader = out->reader_.get();
  archive_read_support_format_tar(reader);
  out->seed_ = SeedHeader();
  if (archive_read_open2(reader, out.get(), nullptr, OnRead, nullptr, nullptr) != ARCHIVE_OK)
    return out->Failed("read tar");
  if (TRY(out->NextEntry()) == nullptr) return out->Failed("read tar");  // the seed
  return out;
}

Error TarStream::Failed(const std::string& doing) {
  if (source_error_.has_value()) return *source_error_;
  return ArchiveError(reader_.get(), doing);
}

Result<archive_entry*> TarStream::NextEntry() {
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(reader_.get(), &entry);
  if (result == ARCHIVE_EOF) return static_cast<archive_entry*>(nullptr);
  if (result < ARCHIVE_WARN) return Failed("read tar");
  return entry;
}

Result<TarStream::Piece> TarStream::NextPiece() {
  const void* data = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  do {
    const int result = archive_read_data_block(reader_.get(), &data, &size, &offset);
    if (result == ARCHIVE_EOF) return Piece{};
    if (result < ARCHIVE_WARN) return Failed("read tar");
  } while (size == 0);
  return Piece{{static_cast<const char*>(data), size}, static_cast<std::uint64_t>(offset)};
}

Result<Digest> TarStream::Finish() {
  while (!TRY(ReadSource()).empty()) {
  }
  return hasher_.Finish();
}

}  // namespace coracle::image
