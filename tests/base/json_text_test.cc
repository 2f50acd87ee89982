#include "coracle/base/json_text.h"

#include <gtest/gtest.h>

#include <string>

namespace coracle {
namespace {

TEST(JsonText, FindsAMemberOfAMember) {
  const std::string text =
      R"( { "a" : [1, {"b": "}"}], "b": {"x": -1.5e3, "c" : {"d": "\"]"} } } )";
  EXPECT_EQ(FindJsonText(text, {"b", "c"}), R"({"d": "\"]"})");
  EXPECT_EQ(FindJsonText(text, {"b", "x"}), "-1.5e3");
  EXPECT_EQ(FindJsonText(text, {"a"}), R"([1, {"b": "}"}])");
  EXPECT_EQ(FindJsonText(R"({"s":"a\\","t":true})", {"s"}), R"("a\\")");
  EXPECT_EQ(FindJsonText(R"({"s":"a\\","t":true})", {"t"}), "true");
}

TEST(JsonText, NeitherInsideAnArrayNorDeeper) {
  EXPECT_EQ(FindJsonText(R"({"a": [{"b": 1}], "c": {"b": 2}})", {"b"}), std::nullopt);
  EXPECT_EQ(FindJsonText(R"({"a": {"b": {"c": 1}}})", {"a", "c"}), std::nullopt);
  EXPECT_EQ(FindJsonText("{}", {"a"}), std::nullopt);
  EXPECT_EQ(FindJsonText("[1]", {"a"}), std::nullopt);
}

// Each would need more than looking: which of two counts, what an escape means.
TEST(JsonText, LeavesWhatIsNotPlainToTheParser) {
  EXPECT_EQ(FindJsonText(R"({"a": 1, "a": 2})", {"a"}), std::nullopt);
  EXPECT_EQ(FindJsonText(R"({"\u0061": 1, "b": 2})", {"b"}), std::nullopt);
  EXPECT_EQ(FindJsonText(R"({"a": {"b": 1})", {"a"}), std::nullopt);
  EXPECT_EQ(FindJsonText(R"({"a": "1)", {"a"}), std::nullopt);
  EXPECT_EQ(FindJsonText(R"({"a": })", {"a"}), std::nullopt);
  EXPECT_EQ(FindJsonText(R"({"a": 1 2})", {"a"}), std::nullopt);
}

}  // namespace
}  // namespace coracle
