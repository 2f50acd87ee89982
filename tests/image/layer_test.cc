#include "layer.h"

#include <sys/sysmacros.h>

#include <array>

#include "layer_fixture.h"

namespace coracle::image {
namespace {

using test::LayerFixture;
using test::ReadText;
using test::StatOf;
using test::TarBuilder;

using LayerTest = LayerFixture;

TEST_F(LayerTest, KeepsWhatBelongsToAFile) {
  TarBuilder tar;
  tar.Add({.name = "dir", .type = '5', .mode = 0711, .uid = 7, .gid = 8, .mtime = 12345});
  tar.Add({.name = "dir/su",
           .data = "content",
           .mode = 04755,
           .uid = 1000,
           .gid = 2000,
           .mtime = 54321,
           .pax = {{"SCHILY.xattr.user.note", std::string("a\0b", 3)}, {"mtime", "54321.25"}}});
  tar.Symlink("../somewhere", "dir/link").Link("dir/su", "dir/hard");
  tar.Add({.name = "fifo", .type = '6', .mode = 0600});
  tar.Add({.name = "null", .type = '3', .mode = 0666, .major = 1, .minor = 3});
  const UnpackedLayer layer = MustUnpack(tar);
  ASSERT_TRUE(Finish(layer).has_value());
  EXPECT_EQ(layer.diff_id, DigestOf(tar.Finish()));
  EXPECT_EQ(layer.inodes, 6U);
  const struct stat su = StatOf(At("dir/su"));
  EXPECT_EQ(su.st_mode, S_IFREG | 04755U);
  EXPECT_EQ(su.st_uid, 1000U);
  EXPECT_EQ(su.st_gid, 2000U);
  EXPECT_EQ(su.st_mtim.tv_sec, 54321);
  EXPECT_EQ(su.st_mtim.tv_nsec, 250'000'000);
  EXPECT_EQ(su.st_nlink, 2U);
  EXPECT_EQ(StatOf(At("dir/hard")).st_ino, su.st_ino);
  EXPECT_EQ(ReadText(At("dir/su")), "content");
  EXPECT_EQ(StatOf(At("dir")).st_mode, S_IFDIR | 0711U);
  EXPECT_EQ(StatOf(At("dir")).st_mtim.tv_sec, 12345);  // though files were made in it afterwards
  EXPECT_EQ(std::filesystem::read_symlink(At("dir/link")), "../somewhere");
  EXPECT_TRUE(S_ISFIFO(StatOf(At("fifo")).st_mode));
  EXPECT_EQ(StatOf(At("null")).st_rdev, makedev(1, 3));
}

TEST_F(LayerTest, KeepsOnlyHarmlessAttributes) {
  // VFS_CAP_REVISION_2, cap_net_raw permitted and effective.
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00",
      20);
  TarBuilder tar;
  tar.Add({.name = "f",
           .uid = 5,
           .pax = {{"SCHILY.xattr.security.capability", capability},
                   {"SCHILY.xattr.user.fine", "1"},
                   {"SCHILY.xattr.user.overlay.opaque", "y"},
                   {"SCHILY.xattr.trusted.overlay.metacopy", "y"},
                   {"SCHILY.xattr.trusted.x", "y"},
                   {"SCHILY.xattr.security.selinux", "y"}}});
  tar.Add({.name = "d", .type = '5', .pax = {{"SCHILY.xattr.trusted.overlay.redirect", "/etc"}}});
  MustUnpack(tar);
  std::array<char, 256> names{};
  const ssize_t size = ::llistxattr(At("f").c_str(), names.data(), names.size());
  std::string shown(names.data(), static_cast<std::size_t>(size));
  std::replace(shown.begin(), shown.end(), '\0', ' ');
  EXPECT_TRUE(shown.find("security.capability") != std::string::npos) << shown;
  EXPECT_TRUE(shown.find("user.fine") != std::string::npos) << shown;
  for (const char* name : {"overlay", "trusted", "selinux"})
    EXPECT_EQ(shown.find(name), std::string::npos) << shown;
  EXPECT_EQ(::llistxattr(At("d").c_str(), names.data(), names.size()), 0);
}

TEST_F(LayerTest, WhiteoutsAndOpaqueDirectories) {
  TarBuilder tar;
  tar.Dir("a").File(".wh.gone", "").File("a/.wh..wh..opq", "").File("a/new", "1");
  tar.File(".wh..wh.plnk", "").File("a/.wh.b", "");
  MustUnpack(tar);
  EXPECT_TRUE(IsWhiteout(StatOf(At("gone"))));
  EXPECT_TRUE(IsWhiteout(StatOf(At("a/b"))));
  EXPECT_TRUE(IsOpaque("a"));
  EXPECT_EQ(ReadText(At("a/new")), "1");
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(At(".wh..wh.plnk"))));
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::symlink_status(At("a/.wh..wh..opq"))));
}

TEST_F(LayerTest, AWhiteoutNeverHidesItsOwnLayer) {
  TarBuilder tar;
  tar.File("f", "1").File(".wh.f", "").Dir("d").File("d/x", "1").File(".wh.d", "");
  tar.File(".wh.late", "").Dir("late").File(".wh.file", "").File("file", "2");
  MustUnpack(tar);
  EXPECT_EQ(ReadText(At("f")), "1");
  EXPECT_EQ(ReadText(At("d/x")), "1");
  EXPECT_TRUE(IsOpaque("d"));
  EXPECT_TRUE(IsOpaque("late"));
  EXPECT_EQ(ReadText(At("file")), "2");
}

TEST_F(LayerTest, RefusesWhiteoutsOfNothing) {
  for (const char* name : {".wh.", ".wh..", ".wh...", "etc/.wh.", "etc/.wh..", "etc/.wh..."})
    EXPECT_NE(ProblemOf(TarBuilder().Dir("etc").File(name, "")).find("whiteout"), std::string::npos)
        << name;
}

TEST_F(LayerTest, TheLastOfSeveralEntriesCounts) {
  TarBuilder tar;
  tar.File("a", "1").File("a", "22").Dir("b").File("b/x", "").Symlink("/etc", "b");
  tar.Symlink("/etc", "c").Dir("c").File("c/y", "inside").File("d", "").Dir("d");
  tar.Link("a", "e").Link("c/y", "e");
  ASSERT_TRUE(Finish(MustUnpack(tar)).has_value());
  EXPECT_EQ(ReadText(At("a")), "22");
  EXPECT_EQ(std::filesystem::read_symlink(At("b")), "/etc");
  EXPECT_EQ(ReadText(At("c/y")), "inside");
  EXPECT_TRUE(std::filesystem::is_directory(At("d")));
  EXPECT_EQ(ReadText(At("e")), "inside");
}
TEST_F(LayerTest, NamesAreBytes) {
  const std::string utf8 = "\xc3\xa4\xe2\x82\xac", broken = "x\xff\xfe";
  TarBuilder tar;
  tar.File(utf8, "1").File(broken, "2").File("new\nline", "3");
  tar.Add({.name = "p", .data = "4", .pax = {{"path", "pax" + utf8}}});
  tar.Add({.name = "l",
           .type = '2',
           .link = "t?",
           .pax = {{"path", "l" + utf8}, {"linkpath", "t" + utf8}}});
  tar.Add({.name = "q", .data = "5", .pax = {{"path", std::string(200, 'q') + "/" + utf8}}});
  MustUnpack(tar);
  EXPECT_EQ(ReadText(At(utf8)), "1");
  EXPECT_EQ(ReadText(At(broken)), "2");
  EXPECT_EQ(ReadText(At("new\nline")), "3");
  EXPECT_EQ(ReadText(At("pax" + utf8)), "4");
  EXPECT_EQ(std::filesystem::read_symlink(At("l" + utf8)), "t" + utf8);
  EXPECT_EQ(ReadText(At(std::string(200, 'q') + "/" + utf8)), "5");
}

TEST_F(LayerTest, OwnersOutOfRangeAreErrors) {
  for (const char* id : {"4294967295", "4294967296", "-1", "99999999999999999999"}) {
    EXPECT_NE(ProblemOf(TarBuilder().Add({.name = "f", .pax = {{"uid", id}}})), "") << id;
    EXPECT_NE(ProblemOf(TarBuilder().Add({.name = "f", .pax = {{"gid", id}}})), "") << id;
  }
  MustUnpack(TarBuilder().Add({.name = "f", .pax = {{"uid", "4294967294"}}}));
  EXPECT_EQ(StatOf(At("f")).st_uid, 4294967294U);
}

TEST_F(LayerTest, SparseFilesStaySparse) {
  // GNU sparse 1.0: the map is at the front of the data.
  std::string map = "1\n1048576\n4\n";
  map.resize(512, '\0');
  TarBuilder tar;
  tar.Add({.name = "GNUSparseFile.0/s",
           .data = map + "data",
           .pax = {{"GNU.sparse.major", "1"},
                   {"GNU.sparse.minor", "0"},
                   {"GNU.sparse.name", "s"},
                   {"GNU.sparse.realsize", "2097152"}}});
  MustUnpack(tar);
  const struct stat status = StatOf(At("s"));
  EXPECT_EQ(status.st_size, 2097152);
  EXPECT_LT(status.st_blocks * 512, 1048576);
  EXPECT_EQ(ReadText(At("s")).substr(1048576, 4), "data");
}

}  // namespace
}  // namespace coracle::image
