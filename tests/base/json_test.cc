#include "coracle/base/json.h"

#include <gtest/gtest.h>

namespace coracle {
namespace {

struct Item {
  std::string name;
  std::vector<std::string> words;
  std::optional<std::int32_t> number;
};
void Read(JsonReader& reader, Item& item) {
  reader.Required("name", item.name);
  reader.Optional("words", item.words);
  reader.Optional("number", item.number);
}
struct Box {
  std::vector<Item> items;
  std::map<std::string, std::string> notes;
};
void Read(JsonReader& reader, Box& box) {
  reader.Required("items", box.items);
  reader.Optional("notes", box.notes);
}

Status ReadBox(const std::string& text, Box& box, std::vector<std::string>* ignored = nullptr) {
  return ReadJsonDocument(TRY(ParseJson(text, "box.json")), "box.json", box, ignored);
}

TEST(JsonReader, ReadsWhatIsThere) {
  Box box;
  const Status status =
      ReadBox(R"({"items":[{"name":"a","words":["x","y"],"number":-3}],"notes":{"k":"v"}})", box);
  ASSERT_TRUE(status.has_value()) << status.error().message;
  ASSERT_EQ(box.items.size(), 1U);
  EXPECT_EQ(box.items[0].words, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(box.items[0].number, -3);
  EXPECT_EQ(box.notes["k"], "v");
}

TEST(JsonReader, NamesEveryProblemAndItsPlace) {
  Box box;
  const Status status = ReadBox(
      R"({"items":[{"name":3,"words":[1],"number":99999999999},{}],"notes":{"a/b":2}})", box);
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::kInvalidConfig);
  EXPECT_EQ(status.error().message,
            "box.json: 5 problems: /items/0/name: expected string, got number 3; "
            "/items/0/words/0: expected string, got number 1; "
            "/items/0/number: expected integer from -2147483648 to 2147483647, got number "
            "99999999999; /items/1/name: required, but missing; "
            "/notes/a~1b: expected string, got number 2");
}

TEST(JsonReader, ListsIgnoredMembers) {
  Box box;
  std::vector<std::string> ignored;
  ASSERT_TRUE(ReadBox(R"({"items":[{"name":"a","new":1}],"other":{}})", box, &ignored).has_value());
  EXPECT_EQ(ignored, (std::vector<std::string>{"/items/0/new", "/other"}));
}

TEST(JsonReader, TakesNullForAbsent) {
  Box box;
  ASSERT_TRUE(ReadBox(R"({"items":[{"name":"a","number":null}],"notes":null})", box).has_value());
  EXPECT_FALSE(box.items[0].number.has_value());
}

TEST(ParseJson, SaysWhereTheTextIsBroken) {
  const auto json = ParseJson("{\n,", "x.json");
  ASSERT_FALSE(json.has_value());
  EXPECT_NE(json.error().message.find("x.json: not valid JSON: parse error at line 2, column 1"),
            std::string::npos)
      << json.error().message;
}

TEST(PrintJson, ReplacesBytesThatAreNotUtf8) {
  EXPECT_EQ(PrintJson(Json("a\xff")), "\"a\xEF\xBF\xBD\"");
}

}  // namespace
}  // namespace coracle
