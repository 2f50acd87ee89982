#include "options.h"

#include <gtest/gtest.h>

#include "command_line.h"
#include "coracle/base/file.h"
#include "runc/options.pb.h"
#include "runtime_options.pb.h"
#include "support/temp_dir.h"
#include "wire.pb.h"

namespace coracle::shim {
namespace {

wire::Any Table(const std::string& body, const std::string& path = "") {
  runtimeoptions::v1::Options table;
  table.set_config_body(body);
  table.set_config_path(path);
  wire::Any any;
  any.set_type_url("runtimeoptions.v1.Options");
  any.set_value(table.SerializeAsString());
  return any;
}

TEST(ShimOptions, ReadsOurKeysOfATomlTable) {
  ShimOptions options = DefaultOptions("ns");
  EXPECT_EQ(options.root, "/run/containerd/coracle/ns");
  ASSERT_TRUE(ReadOptions(Table("BinaryName = \"x\"\nroot = '/r'\n"
                                "ignore_missing_controllers = true\nSystemdCgroup = true\n"
                                "[other]\nroot = \"/no\"\n"),
                          "ns", options));
  EXPECT_EQ(options.root, "/r");
  EXPECT_TRUE(options.ignore_missing_controllers);
  EXPECT_TRUE(options.systemd_cgroup);
  EXPECT_EQ(MakeRuntime(options).cgroup_manager, runtime::CgroupManager::kSystemd);
}

TEST(ShimOptions, ReadsAFileWithTheTable) {
  test::TempDir directory;
  const std::string path = directory.path() + "/o.toml";
  ASSERT_TRUE(WriteFileAtomically(path, "ignore_missing_controllers = true"));
  ShimOptions options = DefaultOptions("ns");
  ASSERT_TRUE(ReadOptions(Table("", path), "ns", options));
  EXPECT_TRUE(options.ignore_missing_controllers);
}

TEST(ShimOptions, ReadsJsonOfOurDaemon) {
  ShimOptions options = DefaultOptions("ns");
  ASSERT_TRUE(
      ReadOptions(Table(R"({"root": "/x", "ignoreMissingControllers": true})"), "ns", options));
  EXPECT_EQ(options.root, "/x");
  EXPECT_TRUE(options.ignore_missing_controllers);
}

TEST(ShimOptions, ReadsRuncsOptionsAndIgnoresForeignOnes) {
  containerd::runc::v1::Options runc;
  runc.set_root("/runc");
  runc.set_no_pivot_root(true);
  wire::Any any;
  any.set_type_url("containerd.runc.v1.Options");
  any.set_value(runc.SerializeAsString());
  ShimOptions options = DefaultOptions("ns");
  ASSERT_TRUE(ReadOptions(any, "ns", options));
  EXPECT_EQ(options.root, "/runc/ns");
  EXPECT_TRUE(options.no_pivot_root);
  any.set_type_url("someone.else.Options");
  EXPECT_TRUE(ReadOptions(any, "ns", options));
}

TEST(ShimOptions, NamesABadValue) {
  ShimOptions options = DefaultOptions("ns");
  const auto bad_bool = ReadOptions(Table("ignore_missing_controllers = 1\n"), "ns", options);
  ASSERT_FALSE(bad_bool);
  EXPECT_EQ(bad_bool.error().message,
            "runtime options: ignore_missing_controllers: 1: expected true or false");
  const auto bad_root = ReadOptions(Table("root = \"relative\"\n"), "ns", options);
  ASSERT_FALSE(bad_root);
  EXPECT_EQ(bad_root.error().message, "runtime options: root: relative: expected an absolute path");
}

TEST(ShimOptions, ComeBackFromTheBundle) {
  test::TempDir directory;
  EXPECT_EQ(LoadOptions(directory.path(), "ns")->root, "/run/containerd/coracle/ns");
  ShimOptions options = DefaultOptions("ns");
  options.root = "/elsewhere";
  options.ignore_missing_controllers = true;
  ASSERT_TRUE(SaveOptions(directory.path(), options));
  const auto loaded = LoadOptions(directory.path(), "ns");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->root, "/elsewhere");
  EXPECT_TRUE(loaded->ignore_missing_controllers);
}

TEST(CommandLine, IsGosFlagSyntax) {
  const auto parsed = ParseCommandLine({"-namespace", "ns", "--id=c1", "-address", "a",
                                        "-publish-binary", "p", "-bundle=/b", "-debug", "delete"});
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->container_namespace, "ns");
  EXPECT_EQ(parsed->id, "c1");
  EXPECT_EQ(parsed->bundle, "/b");
  EXPECT_TRUE(parsed->debug);
  EXPECT_EQ(parsed->verb, "delete");
  EXPECT_TRUE(ParseCommandLine({"-info"})->info);
  EXPECT_TRUE(ParseCommandLine({"-v"})->version);
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  EXPECT_FALSE(ParseCommandLine({}));
  EXPECT_FALSE(ParseCommandLine({"-id", "c1", "start"}));
  EXPECT_FALSE(ParseCommandLine({"-namespace", "ns", "-id", "../c1", "start"}));
  EXPECT_FALSE(ParseCommandLine({"-namespace", "ns", "-id", "c1", "stop"}));
  EXPECT_FALSE(ParseCommandLine({"-namespace", "ns", "-id", "c1", "start", "more"}));
  EXPECT_FALSE(ParseCommandLine({"-unknown", "start"}));
  EXPECT_FALSE(ParseCommandLine({"-id"}));
}

}  // namespace
}  // namespace coracle::shim
