#include "coracle/oci/image.h"

#include <gtest/gtest.h>

#include "coracle/base/json.h"

namespace coracle::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string Descriptor(const std::string& media_type, const std::string& digest = kDigest,
                       const std::string& size = "7") {
  return R"({"mediaType": ")" + media_type + R"(", "digest": ")" + digest + R"(", "size": )" +
         size + "}";
}

std::string Manifest(const std::string& config, const std::string& layers) {
  return R"({"schemaVersion": 2, "config": )" + config + R"(, "layers": [)" + layers + "]}";
}

std::string ProblemOfManifest(const std::string& text) {
  const auto manifest = ParseImageManifest(text, "m");
  return manifest.has_value() ? "" : manifest.error().message;
}

TEST(ImageManifest, PrintsWhatItRead) {
  const std::string text =
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
      R"("config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":")" +
      kDigest +
      R"(","size":10},"layers":[{"mediaType":)"
      R"("application/vnd.docker.image.rootfs.diff.tar.gzip","digest":")" +
      kDigest + R"(","size":20,"urls":["http://x"],"annotations":{"a":"b"}}]})";
  const auto manifest = ParseImageManifest(text, "m");
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message;
  EXPECT_EQ(PrintJson(ToJson(*manifest)), text);
}

TEST(ImageManifest, NeedsNoMediaTypeOfItsOwn) {
  const auto manifest = ParseImageManifest(Manifest(Descriptor("c"), Descriptor("l")), "m");
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message;
  EXPECT_EQ(manifest->media_type, "application/vnd.oci.image.manifest.v1+json");
}

TEST(ImageManifest, RefusesSchema1InOneLine) {
  EXPECT_EQ(ProblemOfManifest(R"({"schemaVersion": 1, "name": "x", "fsLayers": []})"),
            "m: /schemaVersion: Docker image manifest schema 1 is not supported: push the image "
            "again with a current tool");
}

TEST(ImageManifest, RefusesAnIndex) {
  EXPECT_NE(ProblemOfManifest(
                R"({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json"})")
                .find("/mediaType: unknown media type"),
            std::string::npos);
}

TEST(ImageManifest, RefusesDigestsThatAreNot) {
  for (const std::string& digest :
       {std::string("sha256:../../../etc/passwd"), "sha256:" + std::string(63, 'a'),
        "sha256:" + std::string(64, 'A'), "md5:" + std::string(32, 'a'), std::string(64, 'a'),
        std::string()}) {
    EXPECT_NE(ProblemOfManifest(Manifest(Descriptor("c", digest), "")).find("/config/digest: not"),
              std::string::npos)
        << digest;
  }
}

TEST(ImageManifest, RefusesSizesThatAreNot) {
  for (const char* size : {"-1", "1.5", "18446744073709551616", "\"7\""}) {
    EXPECT_NE(ProblemOfManifest(Manifest(Descriptor("c", kDigest, size), ""))
                  .find("/config/size: expected integer"),
              std::string::npos)
        << size;
  }
}

TEST(ImageManifest, RefusesAFloodOfLayers) {
  std::string layers = Descriptor("l");
  for (int i = 0; i < 1000; ++i) layers += "," + Descriptor("l");
  EXPECT_EQ(ProblemOfManifest(Manifest(Descriptor("c"), layers)),
            "m: /layers: more than 1000 layers");
}

TEST(ImageIndex, KeepsPlatforms) {
  const std::string text =
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[)"
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
      kDigest + R"(","size":3,"platform":{"architecture":"arm","os":"linux","variant":"v7"}}]})";
  const auto index = ParseImageIndex(text, "i");
  ASSERT_TRUE(index.has_value()) << index.error().message;
  ASSERT_EQ(index->manifests.size(), 1U);
  EXPECT_EQ(index->manifests[0].platform->variant, "v7");
  EXPECT_EQ(PrintJson(ToJson(*index)), text);
}

TEST(ImageConfig, ReadsWhatBecomesPartOfAContainer) {
  const auto config = ParseImageConfig(
      R"({"architecture": "amd64", "os": "linux", "created": "2026-01-01T00:00:00Z",
          "config": {"User": "1:2", "Env": ["A=b"], "Entrypoint": ["/e"], "Cmd": null,
            "WorkingDir": "/w", "Labels": {"l": "v"}, "Volumes": {"/v": {}},
            "ExposedPorts": {"80/tcp": {}}, "StopSignal": "SIGINT", "OnBuild": null},
          "rootfs": {"type": "layers", "diff_ids": [")" +
          kDigest + R"("]}})",
      "c");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->user, "1:2");
  EXPECT_EQ(config->entrypoint, (std::vector<std::string>{"/e"}));
  EXPECT_TRUE(config->cmd.empty());
  EXPECT_EQ(config->volumes, (std::vector<std::string>{"/v"}));
  EXPECT_EQ(config->exposed_ports, (std::vector<std::string>{"80/tcp"}));
  EXPECT_EQ(config->diff_ids, (std::vector<std::string>{kDigest}));
  EXPECT_EQ(config->platform.architecture, "amd64");
}

TEST(ImageConfig, RefusesWhatIsHostile) {
  const auto problem = [](const std::string& text) {
    const auto config = ParseImageConfig(text, "c");
    return config.has_value() ? "" : config.error().message;
  };
  EXPECT_EQ(problem(R"({"architecture": "a", "os": "l",
                        "rootfs": {"type": "layers", "diff_ids": ["sha256:.."]}})"),
            "c: /rootfs/diff_ids: entry 0 is not a digest; allowed: sha256: and 64, or sha512: and "
            "128 lower-case hexadecimal digits");
  EXPECT_EQ(problem(R"({"architecture": "a", "os": "l", "config": {"Env": ["A=\u0000"]},
                        "rootfs": {"type": "layers", "diff_ids": []}})"),
            "c: /config/Env/0: contains a NUL byte");
  EXPECT_NE(problem(std::string(100000, '[')), "");
  EXPECT_NE(problem("{}"), "");
}

TEST(HostPlatform, IsLinux) { EXPECT_EQ(HostPlatform().os, "linux"); }

}  // namespace
}  // namespace coracle::oci
