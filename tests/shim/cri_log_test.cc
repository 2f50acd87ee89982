#include "cri_log.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "support/temp_dir.h"

namespace coracle::shim {
namespace {

struct Line {
  std::string stream, tag, text;
  bool operator==(const Line&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Line& line) {
  return out << line.stream << ' ' << line.tag << ' ' << line.text.substr(0, 40) << " ("
             << line.text.size() << ")";
}

// Each line must have the CRI's form, with a time in nanoseconds.
std::vector<Line> ReadLog(const std::string& path) {
  static const std::regex kForm(
      R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) ([FP]) )");
  std::vector<Line> lines;
  std::ifstream file(path);
  for (std::string text; std::getline(file, text);) {
    std::smatch match;
    const std::string head = text.substr(0, 40);
    if (!std::regex_search(head, match, kForm, std::regex_constants::match_continuous)) {
      ADD_FAILURE() << "not a CRI log line: " << head;
      continue;
    }
    lines.push_back({match[1], match[2], text.substr(static_cast<std::size_t>(match.length()))});
  }
  return lines;
}

class CriLogTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = directory_.path() + "/0.log";
    log_ = *CriLog::Open(path_);
  }
  test::TempDir directory_;
  std::string path_;
  std::unique_ptr<CriLog> log_;
};

TEST_F(CriLogTest, WritesLinesOfBothStreamsAtOnce) {
  log_->Write(LogStream::kStdout, "one\ntwo\n");
  log_->Write(LogStream::kStderr, "problem\n\n");
  EXPECT_EQ(ReadLog(path_), (std::vector<Line>{{"stdout", "F", "one"},
                                               {"stdout", "F", "two"},
                                               {"stderr", "F", "problem"},
                                               {"stderr", "F", ""}}));
}

TEST_F(CriLogTest, IsPrivateToOwnerAndGroup) {
  struct stat status {};
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640U);
}

TEST_F(CriLogTest, HoldsAnUnfinishedLineUntilItsEnd) {
  log_->Write(LogStream::kStdout, "he");
  log_->Write(LogStream::kStderr, "between\n");
  log_->Write(LogStream::kStdout, "llo\nwor");
  log_->Write(LogStream::kStdout, "ld");
  EXPECT_EQ(ReadLog(path_),
            (std::vector<Line>{{"stderr", "F", "between"}, {"stdout", "F", "hello"}}));
  log_->End(LogStream::kStdout);
  EXPECT_EQ(ReadLog(path_).back(), (Line{"stdout", "P", "world"}));
}

// Whatever the reads, the log of one input is the same: that is "no false splits".
TEST_F(CriLogTest, SplitsByLengthOnlyWhateverTheReads) {
  const std::string full(kMaxLogLine, 'a');
  const std::string input = full + "\n" + full + "b\n" + full + full + "\nshort\n" + full + full;
  const std::vector<Line> expected = {{"stdout", "F", full}, {"stdout", "P", full},
                                      {"stdout", "F", "b"},  {"stdout", "P", full},
                                      {"stdout", "F", full}, {"stdout", "F", "short"},
                                      {"stdout", "P", full}, {"stdout", "P", full}};
  for (const std::size_t chunk : {1UL, 7UL, 4096UL, kMaxLogLine, kMaxLogLine + 1, 65536UL}) {
    const std::string path = directory_.path() + "/" + std::to_string(chunk);
    const auto log = *CriLog::Open(path);
    for (std::size_t at = 0; at < input.size(); at += chunk)
      log->Write(LogStream::kStdout, std::string_view(input).substr(at, chunk));
    log->End(LogStream::kStdout);
    EXPECT_EQ(ReadLog(path), expected) << "in chunks of " << chunk;
  }
}

TEST_F(CriLogTest, TakesMoreLinesThanOneWriteTakesVectors) {
  std::string input;
  for (int i = 0; i < 5000; ++i) input += std::to_string(i) + "\n";
  log_->Write(LogStream::kStdout, input);
  const auto lines = ReadLog(path_);
  ASSERT_EQ(lines.size(), 5000U);
  EXPECT_EQ(lines[4999].text, "4999");
}

TEST_F(CriLogTest, ReopensAfterRotation) {
  log_->Write(LogStream::kStdout, "old\nunfin");
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".1").c_str()), 0);
  log_->Write(LogStream::kStdout, "ished\n");
  ASSERT_TRUE(log_->Reopen());
  log_->Write(LogStream::kStdout, "new\n");
  EXPECT_EQ(ReadLog(path_ + ".1").size(), 2U);
  EXPECT_EQ(ReadLog(path_), (std::vector<Line>{{"stdout", "F", "new"}}));
}

TEST_F(CriLogTest, KeepsTheOldFileWhenReopeningFails) {
  ASSERT_TRUE(RemoveTree(directory_.path()));
  EXPECT_FALSE(log_->Reopen());
  log_->Write(LogStream::kStdout, "into the removed file\n");
}

TEST_F(CriLogTest, RefusesASymlink) {
  const std::string link = directory_.path() + "/link";
  ASSERT_EQ(symlink(path_.c_str(), link.c_str()), 0);
  const auto log = CriLog::Open(link);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().errnum, ELOOP);
}

TEST(CriLogOnAFullDisk, CountsWhatIsMissingAndNeverTearsALine) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to mount a small tmpfs";
  test::TempDir directory;
  ASSERT_EQ(mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=64k"), 0);
  const std::string path = directory.path() + "/0.log";
  {
    const auto log = *CriLog::Open(path);
    std::string input;
    for (int i = 0; i < 1000; ++i) input += std::string(200, 'x') + "\n";
    log->Write(LogStream::kStdout, input);
    auto lines = ReadLog(path);
    // Room again: a line comes after a note of how many are missing.
    ASSERT_EQ(truncate(path.c_str(), 0), 0);
    log->Write(LogStream::kStdout, "after\n");
    const auto after = ReadLog(path);
    ASSERT_EQ(after.size(), 2U);
    EXPECT_EQ(after[1], (Line{"stdout", "F", "after"}));
    lines.push_back(after[0]);
    // A note may have fitted in between, too: whole lines and what the notes say are all there was.
    static const std::regex kNote(R"(coracle-shim: (\d+) lines of this log were dropped: )"
                                  R"(write\(2\): ENOSPC \(No space left on device\))");
    int total = 0;
    for (const auto& line : lines) {
      std::smatch match;
      const bool is_note = std::regex_match(line.text, match, kNote);
      EXPECT_TRUE(is_note || line.text == std::string(200, 'x')) << line;
      total += is_note ? std::stoi(match[1]) : 1;
    }
    EXPECT_EQ(total, 1000);
  }
  EXPECT_EQ(umount(directory.path().c_str()), 0);
}

}  // namespace
}  // namespace coracle::shim
