#include "masked_paths.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "child.h"
#include "rootfs.h"

namespace coracle::runtime {
namespace {

using test::Bundle;
using test::InChild;
using test::ReadText;

std::string InContainer(const Bundle& bundle, oci::Spec spec,
                        const std::function<std::string()>& body) {
  spec.root = oci::Root{.path = "rootfs"};
  spec.linux_.namespaces = {{.type = "mount", .path = ""}};
  const auto rootfs = PlanRootfs(spec, bundle.path());
  MUST_WORK(rootfs);
  const auto plan = PlanMaskedPaths(spec);
  MUST_WORK(plan);
  const auto root = CloneRoot(*rootfs);
  MUST_WORK(root);
  return InChild(CLONE_NEWNS, [&]() -> std::string {
    MUST_WORK(IsolateMounts(*rootfs));
    MUST_WORK(AttachRoot(*rootfs, root->get()));
    MUST_WORK(MaskPaths(*plan, root->get()));
    MUST_WORK(MakeReadonlyPaths(*plan, root->get()));
    MUST_WORK(PivotRoot(*rootfs, root->get()));
    return body();
  });
}

TEST(MaskedPaths, FilesAreTheNullDeviceAndDirectoriesOneEmptyOne) {
  const Bundle bundle;
  bundle.Write("/data/secret", "secret");
  bundle.Write("/etc/secret", "secret");
  oci::Spec spec;
  spec.linux_.masked_paths = {"/etc/secret",   "/data", "/tmp",        "/missing",
                              "/etc/marker/x", "/data", "/data/secret"};
  EXPECT_EQ(InContainer(bundle, spec,
                        []() -> std::string {
                          struct stat null {
                          }, data{}, tmp{};
                          MUST(::stat("/etc/secret", &null) == 0);
                          MUST(null.st_rdev == makedev(1, 3));
                          MUST(ReadText("/etc/secret").empty());
                          MUST(std::filesystem::is_empty("/data"));
                          MUST(::open("/data/new", O_WRONLY | O_CREAT, 0600) < 0);
                          MUST(errno == EROFS);
                          MUST(::stat("/data", &data) == 0 && ::stat("/tmp", &tmp) == 0);
                          MUST(data.st_dev == tmp.st_dev);  // one superblock
                          return "";
                        }),
            "");
}

TEST(MaskedPaths, TheImagesOwnNullIsNotTrusted) {
  const Bundle bundle;
  bundle.Write("/etc/secret", "secret");
  EXPECT_EQ(::symlink("/etc/marker", (bundle.root() + "/dev/null").c_str()), 0);
  oci::Spec spec;
  spec.linux_.masked_paths = {"/etc/secret"};
  EXPECT_EQ(InContainer(bundle, spec,
                        []() -> std::string {
                          struct stat null {};
                          MUST(::stat("/etc/secret", &null) == 0);
                          MUST(null.st_rdev == makedev(1, 3));
                          return "";
                        }),
            "");
}

TEST(MaskedPaths, SymbolicLinksAreRefused) {
  const Bundle bundle;
  EXPECT_EQ(::symlink("/etc/marker", (bundle.root() + "/etc/link").c_str()), 0);
  oci::Spec spec;
  spec.linux_.masked_paths = {"/etc/link"};
  EXPECT_NE(InContainer(bundle, spec, [] { return ""; }).find("must not be a symbolic link"),
            std::string::npos);
}

TEST(MaskedPaths, ReadonlyPathsKeepTheirContent) {
  const Bundle bundle;
  bundle.Write("/data/file", "kept");
  oci::Spec spec;
  spec.linux_.readonly_paths = {"/data", "/etc/marker", "/missing"};
  EXPECT_EQ(InContainer(bundle, spec,
                        []() -> std::string {
                          MUST(ReadText("/data/file") == "kept");
                          MUST(::open("/data/file", O_WRONLY) < 0 && errno == EROFS);
                          MUST(::open("/etc/marker", O_WRONLY) < 0 && errno == EROFS);
                          MUST(::open("/etc/other", O_WRONLY | O_CREAT, 0600) >= 0);
                          return "";
                        }),
            "");
}

TEST(MaskedPaths, RelativePathsAreRefused) {
  oci::Spec spec;
  spec.linux_.masked_paths = {"/ok", "relative"};
  EXPECT_EQ(PlanMaskedPaths(spec).error().message,
            "/linux/maskedPaths/1: \"relative\" is not absolute");
}

}  // namespace
}  // namespace coracle::runtime
