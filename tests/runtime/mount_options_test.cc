#include "mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>

namespace coracle::runtime {
namespace {

MountOptions Parse(std::vector<std::string> options, std::string type = "tmpfs") {
  oci::Mount mount;
  mount.type = std::move(type);
  mount.options = std::move(options);
  auto parsed = ParseMountOptions(mount, "/mounts/0");
  EXPECT_TRUE(parsed.has_value()) << parsed.error().message;
  return parsed.value_or(MountOptions{});
}

TEST(MountOptions, AttributesAreSetAndClearedAndTheLastOneWins) {
  const MountOptions options = Parse({"nosuid", "ro", "dev", "rw", "suid", "nosuid"});
  EXPECT_EQ(options.set, std::uint64_t{MOUNT_ATTR_NOSUID});
  EXPECT_EQ(options.clear, std::uint64_t{MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY});
}

TEST(MountOptions, AccessTimeModesReplaceEachOther) {
  const MountOptions options = Parse({"noatime", "strictatime"});
  EXPECT_EQ(options.set, std::uint64_t{MOUNT_ATTR_STRICTATIME});
  EXPECT_EQ(options.clear, std::uint64_t{MOUNT_ATTR__ATIME});
}

TEST(MountOptions, RecursiveFormsAreKeptApart) {
  const MountOptions options = Parse({"rbind", "rro", "rnosymfollow", "ro"}, "none");
  EXPECT_TRUE(options.bind);
  EXPECT_TRUE(options.recursive_bind);
  EXPECT_EQ(options.set, std::uint64_t{MOUNT_ATTR_RDONLY});
  EXPECT_EQ(options.recursive_set, std::uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSYMFOLLOW});
}

TEST(MountOptions, UnknownOptionsGoToTheFileSystem) {
  const MountOptions options =
      Parse({"mode=755,size=1m", "newinstance", "context=\"a:b:c1,c2\"", "lowerdir=/a\\,b:/c"});
  const std::vector<std::pair<std::string, std::string>> expected = {{"mode", "755"},
                                                                     {"size", "1m"},
                                                                     {"newinstance", ""},
                                                                     {"context", "a:b:c1,c2"},
                                                                     {"lowerdir", "/a\\,b:/c"}};
  EXPECT_EQ(options.data, expected);
}

TEST(MountOptions, PropagationKeepsItsOrder) {
  const MountOptions options = Parse({"rslave", "shared"});
  EXPECT_EQ(options.propagation, (std::vector<unsigned long>{MS_SLAVE | MS_REC, MS_SHARED}));
}

TEST(MountOptions, EveryOptionOfTheSpecificationIsKnown) {
  const char* const kTable[] = {
      "async",          "atime",      "bind",         "defaults",    "dev",
      "diratime",       "dirsync",    "exec",         "iversion",    "lazytime",
      "loud",           "mand",       "noatime",      "nodev",       "nodiratime",
      "noexec",         "noiversion", "nolazytime",   "nomand",      "norelatime",
      "nostrictatime",  "nosuid",     "nosymfollow",  "private",     "ratime",
      "rbind",          "rdev",       "rdiratime",    "relatime",    "remount",
      "rexec",          "rnoatime",   "rnodiratime",  "rnoexec",     "rnorelatime",
      "rnostrictatime", "rnosuid",    "rnosymfollow", "ro",          "rprivate",
      "rrelatime",      "rro",        "rrw",          "rshared",     "rslave",
      "rstrictatime",   "rsuid",      "rsymfollow",   "runbindable", "rw",
      "shared",         "silent",     "slave",        "strictatime", "suid",
      "symfollow",      "sync",       "tmpcopyup",    "unbindable",  "idmap",
      "ridmap",         "rnodev"};
  const auto known = KnownMountOptions();
  EXPECT_TRUE(std::ranges::is_sorted(known));
  for (const char* option : kTable) {
    EXPECT_TRUE(std::ranges::find(known, option) != known.end()) << option;
    EXPECT_TRUE(Parse({option}).data.empty()) << option;
  }
}

}  // namespace
}  // namespace coracle::runtime
