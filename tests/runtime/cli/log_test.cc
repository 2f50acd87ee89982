#include "log.h"

#include <gtest/gtest.h>

#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "support/temp_dir.h"

namespace coracle::runtime::cli {
namespace {

TEST(Log, WritesWhatContainerdReads) {
  const test::TempDir dir;
  const std::string path = dir.path() + "/log.json";
  Log log;
  ASSERT_TRUE(log.Open(path, LogFormat::kJson, LogLevel::kWarning).has_value());
  log.Warning("first \"quoted\"");
  log.Debug("not asked for");
  log.Problem("second\nline");
  const std::string text = ReadFile(path).value();
  const auto end = text.find('\n');
  const Json first = ParseJson(text.substr(0, end), "first").value();
  const Json second = ParseJson(text.substr(end + 1), "second").value();
  EXPECT_EQ(first["level"], "warning");
  EXPECT_EQ(first["msg"], "first \"quoted\"");
  EXPECT_EQ(second["level"], "error");
  EXPECT_EQ(second["msg"], "second\nline");
  EXPECT_EQ(second["time"].get<std::string>().size(), std::string("2026-01-31T00:00:00Z").size());
}

TEST(Log, SaysWhatItCannotOpen) {
  Log log;
  const auto opened = log.Open("/nonexistent/log", LogFormat::kText, LogLevel::kWarning);
  ASSERT_FALSE(opened.has_value());
  EXPECT_NE(opened.error().message.find("/nonexistent/log"), std::string::npos);
}

TEST(Rfc3339, HasSecondsOrNanoseconds) {
  EXPECT_EQ(Rfc3339(1'767'225'599'000'000'007, false), "2025-12-31T23:59:59Z");
  EXPECT_EQ(Rfc3339(1'767'225'599'000'000'007, true), "2025-12-31T23:59:59.000000007Z");
}

}  // namespace
}  // namespace coracle::runtime::cli
