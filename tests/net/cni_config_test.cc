#include "cni_config.h"

#include <gtest/gtest.h>

#include "coracle/base/file.h"
#include "support/temp_dir.h"

namespace coracle::net {
namespace {

class CniConfigTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(Path(name), text).has_value());
  }
  [[nodiscard]] std::string Path(const std::string& name) const { return dir_.path() + "/" + name; }
  [[nodiscard]] std::string ErrorText() const {
    const Result<Network> network = LoadNetwork(dir_.path());
    return network.has_value() ? "" : network.error().message;
  }

  test::TempDir dir_;
};

constexpr const char* kList = R"({"cniVersion": "1.0.0", "name": "net", "plugins": [
  {"type": "bridge", "bridge": "br0"},
  {"type": "portmap", "capabilities": {"portMappings": true}}]})";

TEST_F(CniConfigTest, TakesTheFirstByName) {
  Write("20-other.conf", R"({"cniVersion": "1.0.0", "name": "other", "type": "ptp"})");
  Write("10-net.conflist", kList);
  Write("00-readme.txt", "not for us");
  const Result<Network> network = LoadNetwork(dir_.path());
  ASSERT_TRUE(network.has_value()) << network.error().message;
  EXPECT_EQ(network->name, "net");
  EXPECT_EQ(network->Version(), "1.0.0");
  ASSERT_EQ(network->plugins.size(), 2U);
  EXPECT_EQ(network->plugins[0]["bridge"], "br0");
}

TEST_F(CniConfigTest, ASinglePluginIsAListOfOne) {
  Write("10-net.conf", R"({"cniVersion": "0.4.0", "name": "one", "type": "ptp", "mtu": 1400})");
  const Network network = LoadNetwork(dir_.path()).value();
  EXPECT_EQ(network.name, "one");
  ASSERT_EQ(network.plugins.size(), 1U);
  EXPECT_EQ(network.plugins[0]["mtu"], 1400);
}

TEST_F(CniConfigTest, OffersTheVersionsWeSpeakNewestFirst) {
  Write("10-net.conf", R"({"cniVersion": "0.3.1", "cniVersions": ["9.0.0", "1.0.0", "0.4.0"],
                           "name": "n", "type": "ptp"})");
  EXPECT_EQ(LoadNetwork(dir_.path()).value().versions,
            (std::vector<std::string>{"1.0.0", "0.4.0", "0.3.1"}));
}

TEST_F(CniConfigTest, PluginsOfOthersAreAppendedUnlessForbidden) {
  Write("10-net.conflist", kList);
  ASSERT_TRUE(MakeDirectories(Path("net")).has_value());
  Write("net/20-b.conf", R"({"type": "b"})");
  Write("net/10-a.conf", R"({"type": "a"})");
  const Network network = LoadNetwork(dir_.path()).value();
  ASSERT_EQ(network.plugins.size(), 4U);
  EXPECT_EQ(network.plugins[2]["type"], "a");
  EXPECT_EQ(network.plugins[3]["type"], "b");
  Write("10-net.conflist", R"({"cniVersion": "1.1.0", "name": "net",
                               "loadOnlyInlinedPlugins": true, "plugins": [{"type": "c"}]})");
  EXPECT_EQ(LoadNetwork(dir_.path()).value().plugins.size(), 1U);
  Write("10-net.conflist", kList);
  Write("net/30-c.conf", R"({"type": "../evil"})");
  EXPECT_EQ(ErrorText(), Path("net/30-c.conf") +
                             ": /plugins/0/type: required is a plugin's file name, without a "
                             "directory");
}

TEST_F(CniConfigTest, NoneIsNotFound) {
  EXPECT_EQ(LoadNetwork(dir_.path()).error().code, Code::kNotFound);
  EXPECT_EQ(LoadNetwork("/nonexistent").error().code, Code::kNotFound);
}

TEST_F(CniConfigTest, BrokenOnesNameFileAndPlace) {
  const std::string file = Path("10-net.conflist");
  const auto error_of = [&](const char* text) {
    Write("10-net.conflist", text);
    const std::string message = ErrorText();
    EXPECT_EQ(message.rfind(file + ": ", 0), 0U) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message.substr(std::min(file.size() + 2, message.size()));
  };
  EXPECT_NE(error_of("{\"name\": \n\n oops}").find("line 3"), std::string::npos);
  EXPECT_NE(error_of("[]").find("expected object"), std::string::npos);
  EXPECT_NE(error_of(R"({"cniVersion": "1.0.0", "plugins": [{"type": "a"}]})").find("/name"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"name": "a/b", "plugins": [{"type": "a"}]})").find("/name: got"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"name": "n", "cniVersion": "0.2.0", "plugins": [{"type": "a"}]})")
                .find("/cniVersion: got \"0.2.0\"; allowed are 0.3.0"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"name": "n", "cniVersion": "1.0.0", "plugins": []})").find("/plugins"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"name": "n", "cniVersion": "1.0.0", "plugins": [{}, 5]})")
                .find("2 problems: /plugins/0/type"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"name": "n", "cniVersion": 1, "plugins": [{"type": "a"}]})")
                .find("/cniVersion: expected string"),
            std::string::npos);
}

TEST_F(CniConfigTest, FingerprintSeesEveryChange) {
  const std::string none = Fingerprint(dir_.path());
  Write("10-net.conflist", kList);
  const std::string first = Fingerprint(dir_.path());
  EXPECT_NE(first, none);
  EXPECT_EQ(Fingerprint(dir_.path()), first);
  Write("10-net.conflist", kList);
  const std::string again = Fingerprint(dir_.path());
  EXPECT_NE(again, first) << "written anew";
  ASSERT_TRUE(MakeDirectories(Path("net")).has_value());
  Write("net/a.conf", "{}");
  EXPECT_NE(Fingerprint(dir_.path()), again);
}

TEST(CniVersions, AreComparedAsNumbers) {
  EXPECT_TRUE(AtLeast("1.1.0", "1.1.0"));
  EXPECT_TRUE(AtLeast("1.10.0", "1.9.0"));
  EXPECT_FALSE(AtLeast("0.3.1", "0.4.0"));
}

TEST(CniNames, StartWithALetterOrDigit) {
  EXPECT_TRUE(IsCniName("a1._-"));
  for (const char* name : {"", "-a", ".a", "a/b", "a b", "a@b", "a\n"})
    EXPECT_FALSE(IsCniName(name));
}

}  // namespace
}  // namespace coracle::net
