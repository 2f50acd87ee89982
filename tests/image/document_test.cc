#include "document.h"

#include <gtest/gtest.h>

namespace coracle::image {
namespace {

constexpr const char* kIndex = "application/vnd.oci.image.index.v1+json";
constexpr const char* kManifest = "application/vnd.oci.image.manifest.v1+json";

std::string ProblemOf(const std::string& text, const std::string& type) {
  const auto kind = KindOfDocument(text, type, "m");
  return kind.has_value() ? "" : kind.error().message;
}

TEST(DocumentTest, TellsIndexFromManifest) {
  EXPECT_EQ(*KindOfDocument(R"({"manifests":[]})", kIndex, "m"), DocumentKind::kIndex);
  EXPECT_EQ(*KindOfDocument(R"({"config":{},"layers":[]})", kManifest, "m"),
            DocumentKind::kManifest);
  EXPECT_EQ(*KindOfDocument(R"({"manifests":[]})", "text/plain", "m"), DocumentKind::kIndex);
  EXPECT_EQ(*KindOfDocument(R"({"manifests":[]})", std::string(kIndex) + "; charset=utf-8", "m"),
            DocumentKind::kIndex);
}

TEST(DocumentTest, RefusesWhatCouldBeReadTwoWays) {
  EXPECT_NE(ProblemOf(R"({"manifests":[],"layers":[]})", kIndex), "");
  EXPECT_NE(ProblemOf(R"({"manifests":[],"config":{}})", kIndex), "");
  EXPECT_NE(ProblemOf(R"({"manifests":[]})", kManifest), "");
  EXPECT_NE(ProblemOf(R"({"config":{}})", kIndex), "");
  EXPECT_NE(ProblemOf(std::string(R"({"manifests":[],"mediaType":")") + kManifest + "\"}", ""), "");
  EXPECT_NE(ProblemOf(R"({"mediaType":"application/x","manifests":[]})", kIndex), "");
  EXPECT_NE(ProblemOf(R"({"layers":[],"layers":[]})", kManifest), "");
  EXPECT_NE(ProblemOf(R"({"config":{"a":1,"a":2}})", kManifest), "");
  EXPECT_NE(ProblemOf(R"({"schemaVersion":1,"fsLayers":[]})", ""), "");
  EXPECT_NE(ProblemOf("[]", kManifest), "");
  EXPECT_NE(ProblemOf("{}", kManifest), "");
  EXPECT_NE(ProblemOf("{\"config\":{}} trailing", kManifest), "");
}

TEST(DocumentTest, RefusesDeepNesting) {
  EXPECT_TRUE(CheckDocument(std::string(60, '[') + std::string(60, ']'), "m").has_value());
  const auto deep = CheckDocument(std::string(100000, '['), "m");
  ASSERT_FALSE(deep.has_value());
  EXPECT_NE(deep.error().message.find("deeper than 64"), std::string::npos);
}

}  // namespace
}  // namespace coracle::image
