#include "config.h"

#include <gtest/gtest.h>

#include "coracle/base/file.h"
#include "support/temp_dir.h"

namespace coracle::cri {
namespace {

class ConfigFile : public testing::Test {
 protected:
  void Write(const std::string& text) { ASSERT_TRUE(WriteFileAtomically(file, text).has_value()); }
  void WriteDropIn(const std::string& name, const std::string& text) {
    ASSERT_TRUE(MakeDirectories(file + ".d").has_value());
    ASSERT_TRUE(WriteFileAtomically(file + ".d/" + name, text).has_value());
  }
  std::string Problem() {
    Config config;
    const Status status = LoadConfig(file, true, config);
    return status.has_value() ? "" : status.error().message;
  }
  test::TempDir dir;
  const std::string file = dir.path() + "/coracled.toml";
};

TEST_F(ConfigFile, MayBeAbsentUnlessNamed) {
  Config config;
  EXPECT_TRUE(LoadConfig(file, false, config).has_value());
  EXPECT_FALSE(LoadConfig(file, true, config).has_value());
  EXPECT_EQ(config.Socket(), "/run/coracle/coracle.sock");
}

TEST_F(ConfigFile, IsReadThenItsDropInsByName) {
  Write("root = '/r'\n[cgroup]\nmissing_controllers = 'warn'\n[network]\nbin_dirs = ['/b']\n");
  WriteDropIn("20-b.toml", "root = '/two'\n");
  WriteDropIn("10-a.toml", "root = '/one'\nstate = '/s'\n");
  WriteDropIn("ignored.txt", "nonsense");
  Config config;
  const Status status = LoadConfig(file, true, config);
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(config.root, "/two");
  EXPECT_EQ(config.Socket(), "/s/coracle.sock");
  EXPECT_TRUE(config.ignore_missing_controllers);
  EXPECT_EQ(config.cni_bin_dirs, std::vector<std::string>{"/b"});
}

TEST_F(ConfigFile, NamesEveryMistakeWithItsLine) {
  Write("root = 7\n[image]\nparallel_downloads = 0\nspeed = 3\n");
  const std::string problem = Problem();
  EXPECT_NE(problem.find(file + ":1: root: expected a string"), std::string::npos) << problem;
  EXPECT_NE(problem.find(":3: image.parallel_downloads: expected an integer from 1 to 64"),
            std::string::npos)
      << problem;
  EXPECT_NE(problem.find(":4: image.speed: unknown key"), std::string::npos) << problem;
  Write("root = \n");
  EXPECT_TRUE(Problem().starts_with(file + ":1: ")) << Problem();
  Write("[cgroup]\nmissing_controllers = 'maybe'\n");
  EXPECT_NE(Problem().find("expected \"error\" or \"warn\""), std::string::npos);
}

TEST_F(ConfigFile, PrintsWhatItReadsBack) {
  Config config;
  config.root = "/r";
  config.listen = "/l.sock";
  config.pids_limit = 7;
  config.ignore_missing_controllers = true;
  config.cni_bin_dirs = {"/a", "/b"};
  Write(PrintConfig(config));
  Config again;
  const Status status = LoadConfig(file, true, again);
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(PrintConfig(again), PrintConfig(config));
}

TEST_F(ConfigFile, GivesWayToFlags) {
  Write("root = '/file'\nstate = '/s'\n");
  std::vector<std::string> words = {"coracled", "--config",      file,
                                    "--root",   "/flag",         "--cni-bin-dir",
                                    "/bin1",    "--cni-bin-dir", "/bin2"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  const auto line = ParseCommandLine(static_cast<int>(argv.size()), argv.data());
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_EQ(line->config.root, "/flag");
  EXPECT_EQ(line->config.state, "/s");
  EXPECT_EQ(line->config.cni_bin_dirs, (std::vector<std::string>{"/bin1", "/bin2"}));
}

TEST(ValidateConfig, WantsAbsolutePathsAndKnownWords) {
  Config config;
  EXPECT_TRUE(ValidateConfig(config).has_value());
  config.root = "relative";
  EXPECT_FALSE(ValidateConfig(config).has_value());
  config = {};
  config.log_level = "loud";
  EXPECT_FALSE(ValidateConfig(config).has_value());
}

// The commented sample says that every line in it is the default.
TEST(SampleConfig, IsTheDefault) {
  Config config;
  const Status status = LoadConfig(CORACLE_SOURCE_DIR "/packaging/coracled.toml", true, config);
  ASSERT_TRUE(status.has_value()) << status.error().message;
  EXPECT_EQ(PrintConfig(config), PrintConfig(Config()));
}

}  // namespace
}  // namespace coracle::cri
