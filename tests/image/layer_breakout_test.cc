#include <functional>

#include "layer.h"
#include "layer_fixture.h"

namespace coracle::image {
namespace {

using test::LayerFixture;
using test::ReadText;
using test::StatOf;
using test::TarBuilder;

using LayerBreakoutTest = LayerFixture;

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

TEST_F(LayerBreakoutTest, NothingBreaksOut) {
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

}  // namespace
}  // namespace coracle::image
