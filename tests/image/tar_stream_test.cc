#include "tar_stream.h"

#include <archive.h>
#include <archive_entry.h>

#include "layer_fixture.h"

namespace coracle::image {
namespace {

using test::LayerFixture;
using test::ReadText;
using test::StatOf;
using test::TarBuilder;

using TarStreamTest = LayerFixture;

std::string Gzip(const std::string& data) {
  std::string out(data.size() + 4096, '\0');
  std::size_t used = 0;
  archive* const writer = archive_write_new();
  archive_write_add_filter_gzip(writer);
  archive_write_set_format_raw(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  EXPECT_EQ(archive_write_open_memory(writer, out.data(), out.size(), &used), ARCHIVE_OK);
  archive_entry* const entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  EXPECT_EQ(archive_write_header(writer, entry), ARCHIVE_OK);
  archive_entry_free(entry);
  EXPECT_EQ(archive_write_data(writer, data.data(), data.size()),
            static_cast<la_ssize_t>(data.size()));
  EXPECT_EQ(archive_write_free(writer), ARCHIVE_OK);
  out.resize(used);
  return out;
}

TEST_F(TarStreamTest, GzipMembersAndTrailingBytesCount) {
  const std::string tar = TarBuilder().File("a", "content").Finish() + std::string(9000, '\0');
  const auto layer = Unpack(Gzip(tar.substr(0, 600)) + Gzip(tar.substr(600)));
  ASSERT_TRUE(layer.has_value()) << layer.error().message;
  EXPECT_EQ(layer->diff_id, DigestOf(tar));
  EXPECT_EQ(layer->tar_bytes, tar.size());
  EXPECT_EQ(ReadText(At("a")), "content");
}

TEST_F(TarStreamTest, BombsStopAtTheLimit) {
  LayerOptions options;
  options.limit_bytes = 1UL << 20;
  const auto layer =
      Unpack(Gzip(TarBuilder().File("big", std::string(8UL << 20, '\0')).Finish()), options);
  ASSERT_FALSE(layer.has_value());
  EXPECT_EQ(layer.error().errnum, EFBIG);
  EXPECT_LE(StatOf(At("big")).st_size, 1L << 20);
}

TEST_F(TarStreamTest, CompressedTwiceIsRefused) {
  const auto layer = Unpack(Gzip(Gzip(TarBuilder().File("a", "x").Finish())));
  ASSERT_FALSE(layer.has_value());
  EXPECT_NE(layer.error().message.find("more than once"), std::string::npos);
}

TEST_F(TarStreamTest, DamageIsAnError) {
  const std::string tar = TarBuilder().File("a", std::string(5000, 'x')).Finish();
  const std::string packed = Gzip(tar);
  EXPECT_FALSE(Unpack(packed.substr(0, packed.size() / 2)).has_value());
  EXPECT_FALSE(Unpack(tar.substr(0, 2000)).has_value());
  EXPECT_FALSE(
      Unpack("this is no tar, and it is long enough to be looked at" + std::string(1000, '!'))
          .has_value());
  EXPECT_TRUE(Unpack("").has_value());  // an empty layer is one
}

TEST_F(TarStreamTest, AStopRequestStops) {
  std::stop_source stop;
  stop.request_stop();
  LayerOptions options;
  options.cancel = stop.get_token();
  const auto layer = Unpack(TarBuilder().File("a", "x").Finish(), options);
  ASSERT_FALSE(layer.has_value());
  EXPECT_EQ(layer.error().errnum, ECANCELED);
}

}  // namespace
}  // namespace coracle::image
