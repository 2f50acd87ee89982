#include "registry_auth.h"

#include <gtest/gtest.h>

namespace coracle::image {
namespace {

TEST(ChallengeTest, ParsesQuotedParameters) {
  const auto challenges =
      ParseChallenges(R"(Bearer realm="https://auth.example/token?a=b,c",service="reg \"x\"", )"
                      "scope=repository:a:pull");
  ASSERT_EQ(challenges.size(), 1U);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].parameters.at("realm"), "https://auth.example/token?a=b,c");
  EXPECT_EQ(challenges[0].parameters.at("service"), "reg \"x\"");
  EXPECT_EQ(challenges[0].parameters.at("scope"), "repository:a:pull");
}

TEST(ChallengeTest, ParsesSeveralInOneHeader) {
  const auto challenges = ParseChallenges(R"(Negotiate, BASIC Realm = "x" , Bearer realm="y")");
  ASSERT_EQ(challenges.size(), 3U);
  EXPECT_EQ(challenges[1].scheme, "basic");
  EXPECT_EQ(challenges[1].parameters.at("realm"), "x");
  EXPECT_EQ(challenges[2].parameters.at("realm"), "y");
}

TEST(ChallengeTest, SurvivesNonsense) {
  for (const char* text : {"", ",,,", "\"", "Bearer realm=\"", "=", "Bearer =x", "a b c=", "\\"})
    (void)ParseChallenges(text);
  EXPECT_TRUE(ParseChallenges("").empty());
}

TEST(CredentialsTest, FollowTheOrderOfContainerd) {
  Auth auth;
  auth.auth = Base64Encode("fromauth:pass:word");
  auth.registry_token = "token";
  EXPECT_EQ(CredentialsFor(auth, "r")->username, "fromauth");
  EXPECT_EQ(CredentialsFor(auth, "r")->password, "pass:word");
  auth.identity_token = "refresh";
  EXPECT_EQ(CredentialsFor(auth, "r")->identity_token, "refresh");
  EXPECT_EQ(CredentialsFor(auth, "r")->username, "");
  auth.username = "user";
  EXPECT_EQ(CredentialsFor(auth, "r")->username, "user");
  EXPECT_EQ(CredentialsFor(auth, "r")->identity_token, "");
  EXPECT_EQ(CredentialsFor(std::nullopt, "r")->username, "");
}

TEST(CredentialsTest, AreForOneServerOnly) {
  Auth auth;
  auth.username = "user";
  auth.server_address = "https://index.docker.io/v1/";
  EXPECT_EQ(CredentialsFor(auth, "docker.io")->username, "user");
  EXPECT_EQ(CredentialsFor(auth, "other.example")->username, "");
}

TEST(CredentialsTest, RefusesWhatIsNotBase64OfAPair) {
  for (const std::string& text : {std::string("!!!"), Base64Encode("no colon")}) {
    Auth auth;
    auth.auth = text;
    EXPECT_FALSE(CredentialsFor(auth, "r").has_value()) << text;
  }
  Auth auth;
  auth.registry_token = "a\r\nX-Evil: 1";
  EXPECT_FALSE(CredentialsFor(auth, "r").has_value());
}

TEST(Base64Test, RoundTrips) {
  for (const std::string& text : {std::string(), std::string("a"), std::string("ab"),
                                  std::string("abc"), std::string("a\0b", 3)})
    EXPECT_EQ(Base64Decode(Base64Encode(text)), text);
}

}  // namespace
}  // namespace coracle::image
