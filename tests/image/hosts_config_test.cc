#include "hosts_config.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace coracle::image {
namespace {

class HostsConfigTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(MakeDirectories(directory_.path() + "/" + name).has_value());
    ASSERT_TRUE(
        WriteFileAtomically(directory_.path() + "/" + name + "/hosts.toml", text).has_value());
  }
  std::vector<RegistryHost> Hosts(const std::string& registry) {
    auto hosts = HostsFor(registry, directory_.path());
    EXPECT_TRUE(hosts.has_value()) << (hosts.has_value() ? "" : hosts.error().message);
    return hosts.has_value() ? *hosts : std::vector<RegistryHost>();
  }
  std::string Problem(const std::string& text) {
    Write("bad", text);
    const auto hosts = HostsFor("bad", directory_.path());
    return hosts.has_value() ? "" : hosts.error().message;
  }
  coracle::test::TempDir directory_;
};

TEST_F(HostsConfigTest, WithoutFilesTheRegistryItself) {
  EXPECT_EQ(Hosts("docker.io").at(0).base_url, "https://registry-1.docker.io/v2");
  EXPECT_EQ(Hosts("ghcr.io").at(0).base_url, "https://ghcr.io/v2");
  EXPECT_TRUE(Hosts("ghcr.io").at(0).is_origin);
}

TEST_F(HostsConfigTest, PlainHttpOnlyForLoopback) {
  for (const char* name : {"localhost:5000", "127.0.0.1:5000", "[::1]:5000"})
    EXPECT_EQ(Hosts(name).at(0).base_url, "http://" + std::string(name) + "/v2");
  for (const char* name : {"127.0.0.1.example.com", "localhost.example.com", "10.0.0.1:5000"})
    EXPECT_EQ(Hosts(name).at(0).base_url, "https://" + std::string(name) + "/v2");
}

TEST_F(HostsConfigTest, MirrorsInTheOrderOfTheFileThenTheServer) {
  Write("docker.io", "");
  const std::string directory = directory_.path() + "/docker.io/";
  for (const char* name : {"own.pem", "c.pem", "k.pem"})
    ASSERT_TRUE(WriteFileAtomically(directory + name, "").has_value());
  Write("docker.io", R"(
server = "https://origin.example"
[host."https://zz.example"]
  capabilities = ["pull"]
[host."http://aa.example:8080/path"]
  capabilities = ["pull", "resolve"]
  skip_verify = true
  ca = "own.pem"
  client = [["c.pem", "k.pem"]]
  [host."http://aa.example:8080/path".header]
    X-One = "1"
    X-Two = ["2", "3"]
[host."https://mm.example/custom"]
  override_path = true
)");
  const auto hosts = Hosts("docker.io");
  ASSERT_EQ(hosts.size(), 4U);
  EXPECT_EQ(hosts[0].base_url, "https://zz.example/v2");
  EXPECT_FALSE(hosts[0].resolve);
  EXPECT_TRUE(hosts[0].pull);
  EXPECT_EQ(hosts[1].base_url, "http://aa.example:8080/path/v2");
  EXPECT_TRUE(hosts[1].tls.skip_verify);
  EXPECT_EQ(hosts[1].tls.ca_files,
            std::vector<std::string>{directory_.path() + "/docker.io/own.pem"});
  EXPECT_EQ(hosts[1].tls.client_key, directory + "k.pem");
  EXPECT_EQ(hosts[1].headers, (std::vector<std::string>{"X-One: 1", "X-Two: 2", "X-Two: 3"}));
  EXPECT_EQ(hosts[2].base_url, "https://mm.example/custom");
  EXPECT_EQ(hosts[3].base_url, "https://origin.example/v2");
  EXPECT_TRUE(hosts[3].is_origin);
  EXPECT_FALSE(hosts[0].is_origin);
}

TEST_F(HostsConfigTest, DirectoryNames) {
  Write("_default", "server = 'https://default.example'");
  Write("reg.example_5000_", "server = 'https://underscore.example'");
  Write("other.example:5000", "server = 'https://colon.example'");
  EXPECT_EQ(Hosts("reg.example:5000").at(0).base_url, "https://underscore.example/v2");
  EXPECT_EQ(Hosts("other.example:5000").at(0).base_url, "https://colon.example/v2");
  EXPECT_EQ(Hosts("third.example").at(0).base_url, "https://default.example/v2");
}

TEST_F(HostsConfigTest, ErrorsNameTheFileAndThePlace) {
  EXPECT_NE(Problem("server = ").find("hosts.toml: line 1"), std::string::npos);
  EXPECT_NE(Problem("skip_verify = 'no'").find("skip_verify: expected true or false"),
            std::string::npos);
  EXPECT_NE(Problem("capabilities = ['pul']").find("allowed are pull, resolve, push"),
            std::string::npos);
  EXPECT_NE(Problem("server = 'ftp://x'").find("must be http or https"), std::string::npos);
  EXPECT_NE(Problem("server = 'https://u:p@x'").find("user or password"), std::string::npos);
  EXPECT_NE(Problem("ca = '/nowhere.pem'").find("ca: /nowhere.pem: ENOENT"), std::string::npos);
  EXPECT_NE(Problem("header = {A = \"x\\r\\nB: y\"}").find("one line"), std::string::npos);
}

}  // namespace
}  // namespace coracle::image
