#include "content_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/temp_dir.h"

namespace coracle::image {
namespace {

class ContentStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.MakeLayout().has_value()); }
  BlobWriter Writer(const Digest& digest, std::optional<std::uint64_t> size) {
    auto writer = store_.StartWriting({digest, size}, {});
    EXPECT_TRUE(writer.has_value() && writer->has_value());
    return *std::move(*writer);
  }
  coracle::test::TempDir directory_;
  ContentStore store_{directory_.path()};
  const std::string data_ = "some data";
  const Digest digest_ = DigestOf(data_);
};

TEST_F(ContentStoreTest, ABlobIsThereOnlyWhenItIsWhole) {
  {
    BlobWriter writer = Writer(digest_, data_.size());
    ASSERT_TRUE(writer.Write(data_.substr(0, 4)).has_value());
    EXPECT_FALSE(store_.Has(digest_));
    EXPECT_FALSE(std::filesystem::exists(store_.PathOf(digest_)));
  }
  BlobWriter writer = Writer(digest_, data_.size());
  EXPECT_EQ(writer.offset(), 4U);  // goes on where the other stopped
  ASSERT_TRUE(writer.Write(data_.substr(4)).has_value());
  ASSERT_TRUE(writer.Commit().has_value());
  EXPECT_EQ(*store_.Read(digest_, 100), data_);
  EXPECT_FALSE(store_.StartWriting({digest_, {}}, {})->has_value());
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path() + "/ingest"));
}

TEST_F(ContentStoreTest, RefusesTheWrongContent) {
  BlobWriter writer = Writer(digest_, data_.size());
  ASSERT_TRUE(writer.Write("nome data").has_value());
  const auto committed = writer.Commit();
  ASSERT_FALSE(committed.has_value());
  EXPECT_NE(committed.error().message.find("content has digest"), std::string::npos);
  EXPECT_FALSE(store_.Has(digest_));
  EXPECT_EQ(writer.offset(), 0U);  // ready for another try
}

TEST_F(ContentStoreTest, RefusesTheWrongSize) {
  BlobWriter writer = Writer(digest_, 5);
  EXPECT_FALSE(writer.Write(data_).has_value());
  ASSERT_TRUE(writer.Write("some").has_value());
  EXPECT_FALSE(writer.Commit().has_value());
}

TEST_F(ContentStoreTest, ADamagedBlobIsNoticedWhenRead) {
  ASSERT_TRUE(store_.Put(digest_, data_).has_value());
  std::ofstream(store_.PathOf(digest_)) << "other";
  const auto read = store_.Read(digest_, 100);
  ASSERT_FALSE(read.has_value());
  EXPECT_NE(read.error().message.find("damaged"), std::string::npos);
}

TEST_F(ContentStoreTest, ListsAndRemoves) {
  ASSERT_TRUE(store_.Put(digest_, data_).has_value());
  EXPECT_EQ(store_.List(), std::vector<Digest>{digest_});
  ASSERT_TRUE(store_.Remove(digest_).has_value());
  ASSERT_TRUE(store_.Remove(digest_).has_value());
  EXPECT_TRUE(store_.List().empty());
}

}  // namespace
}  // namespace coracle::image
