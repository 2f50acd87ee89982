// A layer directory for one test, with things beside it that must never change.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "coracle/base/file.h"
#include "coracle/sys/path.h"
#include "layer.h"
#include "layer_files.h"
#include "support/temp_dir.h"
#include "tar_builder.h"

namespace coracle::image::test {

inline std::string ReadText(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline struct stat StatOf(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status;
}

// <temp>/root is the layer; <temp>/canary must never change.
class LayerFixture : public ::testing::Test {
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

}  // namespace coracle::image::test
