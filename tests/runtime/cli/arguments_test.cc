#include "arguments.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace coracle::runtime::cli {
namespace {

struct Given {
  std::string id, bundle, trace;
  Words env, rest;
  bool detach = false;
  std::optional<std::int64_t> quota;
};

Result<bool> ParseNormal(Given& given, Words words) {
  Arguments arguments("test", "A verb.");
  arguments.Operand("container-id", given.id, "its name");
  arguments.Text("-b,--bundle", given.bundle, "its directory");
  arguments.Texts("-e,--env", given.env, "NAME=value");
  arguments.Flag("-d,--detach", given.detach, "go away");
  arguments.Number("--cpu-quota", given.quota, "microseconds");
  return arguments.Parse(std::move(words));
}

Result<bool> ParsePrefix(Given& given, Words words) {
  Arguments arguments("test", "A verb.");
  arguments.Text("-b,--bundle", given.bundle, "its directory");
  arguments.FlagWithValue("--trace", "text", given.trace, "time the steps");
  arguments.Rest(given.rest, "id program");
  return arguments.Parse(std::move(words));
}

TEST(Arguments, TakeEverySpelling) {
  for (const Words& words : {Words{"-b", "/b", "-d", "x"}, Words{"--bundle=/b", "--detach", "x"},
                             Words{"x", "--bundle", "/b", "--detach=true"}}) {
    Given given;
    ASSERT_TRUE(ParseNormal(given, words).has_value());
    EXPECT_EQ(given.bundle, "/b");
    EXPECT_EQ(given.id, "x");
    EXPECT_TRUE(given.detach);
  }
}

// As podman and containerd may inherit it.
TEST(Arguments, TakeOptionsBehindOperandsWhateverTheEnvironmentSays) {
  ::setenv("POSIXLY_CORRECT", "1", 1);
  Given given;
  const auto parsed = ParseNormal(given, {"x", "--detach=1", "-b", "/b"});
  ::unsetenv("POSIXLY_CORRECT");
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
  EXPECT_EQ(given.id, "x");
  EXPECT_EQ(given.bundle, "/b");
  EXPECT_TRUE(given.detach);
  EXPECT_FALSE(ParseNormal(given, {"x", "--detach=maybe"}).has_value());
}

TEST(Arguments, TakeNoAbbreviation) {
  Given given;
  EXPECT_NE(ParseNormal(given, {"--bund", "/b", "x"}).error().message.find("--bund"),
            std::string::npos);
}

TEST(Arguments, TakeOneValuePerRepeatedOption) {
  Given given;
  ASSERT_TRUE(ParseNormal(given, {"-e", "A=1", "--env", "B=2", "x"}).has_value());
  EXPECT_EQ(given.env, (Words{"A=1", "B=2"}));
  EXPECT_EQ(given.id, "x");
}

TEST(Arguments, TakeNegativeNumbersAndADash) {
  Given given;
  ASSERT_TRUE(ParseNormal(given, {"--cpu-quota", "-1", "-b", "-", "x"}).has_value());
  EXPECT_EQ(given.quota, -1);
  EXPECT_EQ(given.bundle, "-");
}

TEST(Arguments, SayWhatIsWrong) {
  Given given;
  EXPECT_NE(ParseNormal(given, {}).error().message.find("container-id"), std::string::npos);
  EXPECT_NE(ParseNormal(given, {"x", "--nosuch"}).error().message.find("--nosuch"),
            std::string::npos);
  EXPECT_NE(ParseNormal(given, {"x", "y"}).error().message.find("y"), std::string::npos);
  EXPECT_NE(ParseNormal(given, {"x", "--cpu-quota", "1x"}).error().message.find("1x"),
            std::string::npos);
}

TEST(Arguments, LeaveTheRestAlone) {
  Given given;
  ASSERT_TRUE(ParsePrefix(given, {"-b", "/b", "id", "ls", "-b", "--trace", "--"}).has_value());
  EXPECT_EQ(given.bundle, "/b");
  EXPECT_EQ(given.rest, (Words{"id", "ls", "-b", "--trace", "--"}));
  EXPECT_EQ(ParsePrefix(given, {"--nosuch", "id"}).error().message,
            "The following argument was not expected: --nosuch");
}

TEST(Arguments, ShowHowTheyAreUsed) {
  std::string id;
  std::string signal;
  Words rest;
  Arguments arguments("coracle kill", "Sends a signal.");
  arguments.Operand("container-id", id, "its name");
  arguments.OptionalOperand("signal", signal, "which");
  EXPECT_NE(arguments.Help().find("Usage: coracle kill [options] container-id [signal]\n"),
            std::string::npos)
      << arguments.Help();
  Arguments others("coracle exec", "Executes.");
  others.Rest(rest, "container-id program");
  EXPECT_NE(others.Help().find("Usage: coracle exec [options] container-id program\n"),
            std::string::npos);
}

TEST(Arguments, TakeAFlagWithAndWithoutValue) {
  Given given;
  ASSERT_TRUE(ParsePrefix(given, {"--trace", "run"}).has_value());
  EXPECT_EQ(given.trace, "text");
  EXPECT_EQ(given.rest, (Words{"run"}));
  ASSERT_TRUE(ParsePrefix(given, {"--trace=json", "run"}).has_value());
  EXPECT_EQ(given.trace, "json");
}

}  // namespace
}  // namespace coracle::runtime::cli
