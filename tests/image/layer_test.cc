#include "layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>

#include "coracle/sys/path.h"
#include "layer_files.h"
#include "support/temp_dir.h"
#include "tar_builder.h"

namespace coracle::image {
namespace {

using test::TarBuilder;

std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct stat StatOf(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

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

// <temp>/root is the layer; <temp>/canary must never change.
class LayerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: owners, devices, trusted.* attributes";
    ASSERT_TRUE(MakeDirectories(root()).has_value());
    ASSERT_TRUE(MakeDirectories(temp_.path() + "/etc").has_value());
    std::ofstream(temp_.path() + "/etc/passwd") << "outside";
    std::ofstream(temp_.path() + "/canary") << "untouched";
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(ReadText(temp_.path() + "/canary"), "untouched");
    EXPECT_EQ(ReadText(temp_.path() + "/etc/passwd"), "outside");
    EXPECT_EQ(StatOf(temp_.path() + "/canary").st_nlink, 1U);
    std::size_t entries = 0;
    for (const auto& entry : std::filesystem::directory_iterator(temp_.path())) {
      (void)entry;
      ++entries;
    }
    EXPECT_LE(entries, 5U) << "something was made beside the layer";
  }
  [[nodiscard]] std::string root() const { return temp_.path() + "/root"; }
  [[nodiscard]] std::string At(const std::string& path) const { return root() + "/" + path; }

  Result<UnpackedLayer> Unpack(const std::string& blob, const LayerOptions& options = {}) {
    const std::string path = temp_.path() + "/blob";
    EXPECT_TRUE(WriteFileAtomically(path, blob).has_value());
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const UniqueFd root_fd = *sys::OpenRoot(root());
    return UnpackLayer(std::move(fd), root_fd.get(), options);
  }
  UnpackedLayer MustUnpack(const TarBuilder& tar) {
    auto layer = Unpack(tar.Finish());
    EXPECT_TRUE(layer.has_value()) << layer.error().message;
    return layer.has_value() ? *std::move(layer) : UnpackedLayer{};
  }
  std::string ProblemOf(const TarBuilder& tar) {
    const auto layer = Unpack(tar.Finish());
    return layer.has_value() ? "" : layer.error().message;
  }
  Status Finish(const UnpackedLayer& layer, const std::string& lower = "") {
    const UniqueFd root_fd = *sys::OpenRoot(root());
    const UniqueFd lower_fd = lower.empty() ? UniqueFd() : *sys::OpenRoot(lower);
    return FinishLayer(layer, root_fd.get(), lower_fd.get());
  }
  [[nodiscard]] bool IsOpaque(const std::string& path) const {
    char value = 0;
    return ::lgetxattr(At(path).c_str(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
  }
  coracle::test::TempDir temp_;
};

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

// A name, the layer, and what must be true afterwards; without a check a clean error is expected.
struct Breakout {
  const char* name;
  TarBuilder tar;
  std::function<void(const std::string& root)> check;
};

void ExpectUnbroken(const std::string& root) {
  EXPECT_EQ(ReadText(root + "/etc/unbroken"), "unbroken");
}

void ExpectSame(const std::string& a, const std::string& b) {
  EXPECT_EQ(StatOf(a).st_ino, StatOf(b).st_ino) << a << " and " << b;
}

TarBuilder WithPasswd() { return TarBuilder().Dir("etc", 0770).File("/etc/passwd", "inside"); }

// The cases of containerd's TestBreakouts that concern one layer.
std::vector<Breakout> SymlinkBreakouts() {
  return {
      {"SymlinkAbsolute",
       TarBuilder().Dir("etc").Symlink("/etc", "localetc").File("/localetc/unbroken", "unbroken"),
       ExpectUnbroken},
      {"SymlinkUpAndOut",
       TarBuilder()
           .Dir("etc")
           .Dir("dummy")
           .Symlink("/dummy/../etc", "localetc")
           .File("/localetc/unbroken", "unbroken"),
       ExpectUnbroken},
      {"SymlinkMultipleAbsolute",
       TarBuilder()
           .Dir("etc")
           .Dir("dummy")
           .Symlink("/etc", "/dummy/etc")
           .Symlink("/dummy/etc", "localetc")
           .File("/dummy/etc/unbroken", "unbroken"),
       ExpectUnbroken},
      {"SymlinkMultipleRelative",
       TarBuilder()
           .Dir("etc")
           .Dir("dummy")
           .Symlink("/etc", "/dummy/etc")
           .Symlink("./dummy/etc", "localetc")
           .File("/dummy/etc/unbroken", "unbroken"),
       ExpectUnbroken},
      {"SymlinkEmptyFile",
       TarBuilder()
           .Dir("etc")
           .File("etc/emptied", "no")
           .Symlink("/etc", "localetc")
           .File("/localetc/emptied", ""),
       [](const std::string& root) { EXPECT_EQ(StatOf(root + "/etc/emptied").st_size, 0); }},
      {"SymlinkParentDirectory", WithPasswd().Symlink("/etc/", ".."), nullptr},
      {"SymlinkEmptyFilename", WithPasswd().Symlink("/etc/", ""), nullptr},
      {"SymlinkAsRoot", TarBuilder().Symlink("/etc/", "./"), nullptr},
      {"FileAsRoot", TarBuilder().File(".", "x"), nullptr},
      {"LinkAsRoot", WithPasswd().Link("etc/passwd", "/"), nullptr},
      {"SymlinkParentRelative",
       WithPasswd().Symlink("/etc/", "localetc/sub/..").Link("/etc/passwd", "/localetc/copy"),
       [](const std::string& root) { ExpectSame(root + "/etc/copy", root + "/etc/passwd"); }},
      {"SymlinkSlashEnded", WithPasswd().Dir("localetc/").Link("/etc/passwd", "/localetc/copy"),
       [](const std::string& root) { ExpectSame(root + "/localetc/copy", root + "/etc/passwd"); }},
      {"SymlinkOverrideDirectory",
       WithPasswd().Dir("localetc").Symlink("/etc", "localetc").Link("etc/passwd", "localetc/copy"),
       [](const std::string& root) { ExpectSame(root + "/etc/copy", root + "/etc/passwd"); }},
      {"SymlinkOverrideDirectoryRelative",
       WithPasswd()
           .Dir("localetc")
           .Symlink("../../etc", "localetc")
           .Link("etc/passwd", "localetc/copy"),
       [](const std::string& root) { ExpectSame(root + "/etc/copy", root + "/etc/passwd"); }},
      {"DirectoryOverrideSymlink",
       WithPasswd()
           .Symlink("/etc", "localetc")
           .Dir("/localetc/")
           .Link("/etc/passwd", "/localetc/copy"),
       [](const std::string& root) { ExpectSame(root + "/localetc/copy", root + "/etc/passwd"); }},
      {"SymlinkLoop", TarBuilder().Symlink("b", "a").Symlink("a", "b").File("a/x", ""), nullptr},
      // A link to nowhere leads to where it says, inside the layer.
      {"MagicLink", TarBuilder().Symlink("/proc/self/cwd", "a").File("a/canary", "x"),
       [](const std::string& root) { EXPECT_EQ(ReadText(root + "/proc/self/cwd/canary"), "x"); }},
  };
}

std::vector<Breakout> LinkBreakouts() {
  const auto copy = [](const std::string& root) {
    ExpectSame(root + "/copy", root + "/etc/passwd");
  };
  return {
      {"HardlinkRelative",
       WithPasswd().Dir("b").Symlink("../../etc", "b/d1").Link("/b/d1/passwd", "copy"), copy},
      {"HardlinkDownAndOut",
       WithPasswd()
           .Dir("b")
           .Dir("out")
           .Symlink("../out/../../etc", "b/d1")
           .Link("/b/d1/passwd", "copy"),
       copy},
      {"HardlinkAbsolute",
       WithPasswd().Symlink("/etc", "localetc").Link("/localetc/passwd", "copy"), copy},
      {"HardlinkRelativeLong",
       WithPasswd().Symlink("../../../../../../../etc", "localetc").Link("localetc/passwd", "copy"),
       copy},
      {"HardlinkDirectRelative", WithPasswd().Link("../../../../../etc/passwd", "copy"), copy},
      {"HardlinkDirectAbsolute", WithPasswd().Link("/etc/passwd", "copy"), copy},
      {"HardlinkSymlink", WithPasswd().Symlink("../../etc/passwd", "link").Link("/link", "copy"),
       [](const std::string& root) {
         EXPECT_TRUE(S_ISLNK(StatOf(root + "/copy").st_mode));
         ExpectSame(root + "/copy", root + "/link");
       }},
      {"HardlinkSymlinkThenFile",
       WithPasswd().Symlink("/etc/passwd", "link").Link("link", "copy").File("copy", "own"),
       [](const std::string& root) {
         EXPECT_EQ(ReadText(root + "/copy"), "own");
         EXPECT_EQ(ReadText(root + "/etc/passwd"), "inside");
       }},
      {"HardlinkToItself", TarBuilder().Link("a", "a"), nullptr},
      {"HardlinkToDirectory", TarBuilder().Dir("d").Link("d", "a"), nullptr},
      {"NameUpAndOut", TarBuilder().File("../../canary", "x").File("/../canary2", "y"),
       [](const std::string& root) {
         EXPECT_EQ(ReadText(root + "/canary"), "x");
         EXPECT_EQ(ReadText(root + "/canary2"), "y");
       }},
      {"WhiteoutSymlinkPath",
       WithPasswd().Symlink("/etc", "localetc").File("localetc/.wh.victim", ""),
       [](const std::string& root) { EXPECT_TRUE(IsWhiteout(StatOf(root + "/etc/victim"))); }},
      {"WhiteoutDirectoryName", TarBuilder().File(".wh.etc/somefile", "x"),
       [](const std::string& root) { EXPECT_EQ(ReadText(root + "/.wh.etc/somefile"), "x"); }},
      {"WhiteoutRelativePath", TarBuilder().File("dne/../.wh.etc", ""),
       [](const std::string& root) { EXPECT_TRUE(IsWhiteout(StatOf(root + "/etc"))); }},
      {"PaxPath",
       TarBuilder().Add({.name = "harmless", .data = "x", .pax = {{"path", "../../canary"}}}),
       [](const std::string& root) { EXPECT_EQ(ReadText(root + "/canary"), "x"); }},
      {"PaxLinkPath",
       WithPasswd().Add(
           {.name = "copy", .type = '1', .pax = {{"linkpath", "../../../etc/passwd"}}}),
       copy},
      {"ForgedWhiteout", TarBuilder().Add({.name = "w", .type = '3'}), nullptr},
      {"LongName", TarBuilder().Add({.name = "n", .pax = {{"path", std::string(256, 'n')}}}),
       nullptr},
  };
}

TEST_F(LayerTest, NothingBreaksOut) {
  std::vector<Breakout> all = SymlinkBreakouts();
  for (Breakout& breakout : LinkBreakouts()) all.push_back(std::move(breakout));
  for (const Breakout& breakout : all) {
    SCOPED_TRACE(breakout.name);
    ASSERT_TRUE(RemoveTree(root()).has_value());
    ASSERT_TRUE(MakeDirectories(root()).has_value());
    auto layer = Unpack(breakout.tar.Finish());
    if (breakout.check) {
      ASSERT_TRUE(layer.has_value()) << layer.error().message;
      EXPECT_TRUE(Finish(*layer).has_value());
      breakout.check(root());
    } else {
      ASSERT_FALSE(layer.has_value());
      EXPECT_FALSE(layer.error().message.empty());
    }
  }
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

TEST_F(LayerTest, GzipMembersAndTrailingBytesCount) {
  const std::string tar = TarBuilder().File("a", "content").Finish() + std::string(9000, '\0');
  const auto layer = Unpack(Gzip(tar.substr(0, 600)) + Gzip(tar.substr(600)));
  ASSERT_TRUE(layer.has_value()) << layer.error().message;
  EXPECT_EQ(layer->diff_id, DigestOf(tar));
  EXPECT_EQ(layer->tar_bytes, tar.size());
  EXPECT_EQ(ReadText(At("a")), "content");
}

TEST_F(LayerTest, BombsStopAtTheLimit) {
  LayerOptions options;
  options.limit_bytes = 1UL << 20;
  const auto layer =
      Unpack(Gzip(TarBuilder().File("big", std::string(8UL << 20, '\0')).Finish()), options);
  ASSERT_FALSE(layer.has_value());
  EXPECT_EQ(layer.error().errnum, EFBIG);
  EXPECT_LE(StatOf(At("big")).st_size, 1L << 20);
}

TEST_F(LayerTest, CompressedTwiceIsRefused) {
  const auto layer = Unpack(Gzip(Gzip(TarBuilder().File("a", "x").Finish())));
  ASSERT_FALSE(layer.has_value());
  EXPECT_NE(layer.error().message.find("more than once"), std::string::npos);
}

TEST_F(LayerTest, DamageIsAnError) {
  const std::string tar = TarBuilder().File("a", std::string(5000, 'x')).Finish();
  const std::string packed = Gzip(tar);
  EXPECT_FALSE(Unpack(packed.substr(0, packed.size() / 2)).has_value());
  EXPECT_FALSE(Unpack(tar.substr(0, 2000)).has_value());
  EXPECT_FALSE(
      Unpack("this is no tar, and it is long enough to be looked at" + std::string(1000, '!'))
          .has_value());
  EXPECT_TRUE(Unpack("").has_value());  // an empty layer is one
}

TEST_F(LayerTest, AStopRequestStops) {
  std::stop_source stop;
  stop.request_stop();
  LayerOptions options;
  options.cancel = stop.get_token();
  const auto layer = Unpack(TarBuilder().File("a", "x").Finish(), options);
  ASSERT_FALSE(layer.has_value());
  EXPECT_EQ(layer.error().errnum, ECANCELED);
}

TEST_F(LayerTest, TakesWhatItNeedsFromBelow) {
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

TEST_F(LayerTest, AHardLinkToNowhereIsAnError) {
  const UnpackedLayer layer = MustUnpack(TarBuilder().Link("etc/passwd", "stolen"));
  const Status finished = Finish(layer);
  ASSERT_FALSE(finished.has_value());
  EXPECT_NE(finished.error().message.find("in no layer"), std::string::npos);
}

TEST_F(LayerTest, AnOpaqueRootHidesAllBelow) {
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
