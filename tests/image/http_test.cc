#include "http.h"

#include <gtest/gtest.h>

namespace coracle::image {
namespace {

TEST(UrlTest, OnlyHttpWithoutUser) {
  const auto url = ParseUrl("https://Reg.example/v2/x?y=z");
  ASSERT_TRUE(url.has_value());
  EXPECT_EQ(url->port, "443");
  for (const char* text :
       {"file:///etc/passwd", "ftp://x/", "https://user@x/", "http://a:b@x/", "not a url", ""})
    EXPECT_FALSE(ParseUrl(text).has_value()) << text;
}

TEST(UrlTest, SameServerMeansSchemeHostAndPort) {
  const auto url = *ParseUrl("https://a.example/x");
  EXPECT_TRUE(url.SameServer(*ParseUrl("https://a.example:443/y")));
  EXPECT_FALSE(url.SameServer(*ParseUrl("http://a.example/x")));
  EXPECT_FALSE(url.SameServer(*ParseUrl("https://a.example:444/x")));
  EXPECT_FALSE(url.SameServer(*ParseUrl("https://b.example/x")));
}

TEST(UrlTest, ResolvesRedirects) {
  EXPECT_EQ(*ResolveUrl("https://a.example/v2/x?q=1", "/blob"), "https://a.example/blob");
  EXPECT_EQ(*ResolveUrl("https://a.example/v2/x", "//b.example/y"), "https://b.example/y");
  EXPECT_EQ(*ResolveUrl("https://a.example/v2/x", "http://c/y"), "http://c/y");
}

TEST(LoopbackTest, IsNotFooledByNames) {
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "[::1]", "a.localhost"})
    EXPECT_TRUE(IsLoopback(host)) << host;
  for (const char* host : {"127.0.0.1.example", "localhost.example", "128.0.0.1", "::2", ""})
    EXPECT_FALSE(IsLoopback(host)) << host;
}

TEST(HttpClientTest, AServerThatIsNotThereIsAnError) {
  HttpClient client(HttpSettings{});
  HttpRequest request;
  request.url = "http://127.0.0.1:1/";
  const auto response = client.Perform(request);
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code, Code::kKernel);
  EXPECT_EQ(response.error().errnum, ECONNREFUSED);
}

}  // namespace
}  // namespace coracle::image
