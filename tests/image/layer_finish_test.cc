#include "layer.h"
#include "layer_fixture.h"

namespace coracle::image {
namespace {

using test::LayerFixture;
using test::ReadText;
using test::StatOf;
using test::TarBuilder;

using LayerFinishTest = LayerFixture;

TEST_F(LayerFinishTest, TakesWhatItNeedsFromBelow) {
  const std::string lower = temp_.path() + "/lower";
  ASSERT_TRUE(MakeDirectories(lower + "/a/b").has_value());
  std::ofstream(lower + "/a/file") << "from below";
  ASSERT_EQ(::chown((lower + "/a/file").c_str(), 11, 12), 0);
  ASSERT_EQ(::chmod((lower + "/a").c_str(), 01777), 0);
  ASSERT_EQ(::chown((lower + "/a/b").c_str(), 21, 22), 0);
  ASSERT_EQ(::chmod(lower.c_str(), 0711), 0);
  TarBuilder tar;
  tar.File("a/b/new", "1").Link("a/file", "a/b/link").Link("a/b/link", "again");
  tar.File("other/x", "2");
  const UnpackedLayer layer = MustUnpack(tar);
  EXPECT_TRUE(layer.NeedsLower());
  ASSERT_TRUE(Finish(layer, lower).has_value());
  EXPECT_EQ(StatOf(At("a")).st_mode, S_IFDIR | 01777U);
  EXPECT_EQ(StatOf(At("a/b")).st_uid, 21U);
  EXPECT_EQ(StatOf(At("other")).st_mode, S_IFDIR | 0755U);
  EXPECT_EQ(StatOf(root()).st_mode, S_IFDIR | 0711U);
  EXPECT_EQ(ReadText(At("a/b/link")), "from below");
  EXPECT_EQ(StatOf(At("a/b/link")).st_uid, 11U);
  EXPECT_EQ(StatOf(At("again")).st_ino, StatOf(At("a/b/link")).st_ino);
  ASSERT_TRUE(RemoveTree(lower).has_value());
}

TEST_F(LayerFinishTest, AHardLinkToNowhereIsAnError) {
  const UnpackedLayer layer = MustUnpack(TarBuilder().Link("etc/passwd", "stolen"));
  const Status finished = Finish(layer);
  ASSERT_FALSE(finished.has_value());
  EXPECT_NE(finished.error().message.find("in no layer"), std::string::npos);
}

TEST_F(LayerFinishTest, AnOpaqueRootHidesAllBelow) {
  const std::string lower = temp_.path() + "/lower";
  ASSERT_TRUE(MakeDirectories(lower + "/both").has_value());
  ASSERT_TRUE(MakeDirectories(lower + "/old").has_value());
  std::ofstream(lower + "/file") << "x";
  const UnpackedLayer layer =
      MustUnpack(TarBuilder().File(".wh..wh..opq", "").Dir("both").File("mine", "1"));
  EXPECT_TRUE(layer.NeedsLower());
  ASSERT_TRUE(Finish(layer, lower).has_value());
  EXPECT_TRUE(IsWhiteout(StatOf(At("old"))));
  EXPECT_TRUE(IsWhiteout(StatOf(At("file"))));
  EXPECT_TRUE(IsOpaque("both"));
  EXPECT_EQ(ReadText(At("mine")), "1");
  ASSERT_TRUE(RemoveTree(lower).has_value());
}

}  // namespace
}  // namespace coracle::image
