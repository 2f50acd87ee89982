// The log file of a container in the CRI's format, written by the shim itself:
//   2026-11-22T10:05:01.123456789Z stdout F message
// F ends a line, P does not: a line of more than 16 KiB goes out in pieces, all but the last tagged
// P, and so does what a stream leaves unfinished at its end. No other line is ever split.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::shim {

inline constexpr std::size_t kMaxLogLine = 16UL << 10;

enum class LogStream : std::uint8_t { kStdout = 0, kStderr = 1 };

class CriLog {
 public:
  // Created 0640 if missing, and appended to.
  static Result<std::unique_ptr<CriLog>> Open(const std::string& path);
  ~CriLog();

  // What one read(2) got. Whole lines go to the file in one write(2) and with one time; an
  // unfinished one waits for its end. Never fails: lines that cannot be written are counted, and
  // the log says how many are missing as soon as it can be written again.
  void Write(LogStream stream, std::string_view bytes);
  // The stream has ended.
  void End(LogStream stream);
  // After a rotation renamed the file: a new one under the old name. On failure the old one stays.
  Status Reopen();

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  CriLog(std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  void StampBatch(LogStream stream);
  void AddLine(bool is_full, std::string_view line);
  void Flush();
  std::size_t WriteOut();
  void CutTornLine(std::size_t written);
  bool NoteDropped();

  std::string path_;
  UniqueFd file_;
  std::array<std::string, 2> unfinished_;  // by stream
  std::string full_prefix_, partial_prefix_;
  // The batch: three vectors a line at most (prefix, text, newline), and how many bytes are in
  // each line.
  std::vector<iovec> batch_;
  std::vector<std::size_t> line_sizes_;
  std::uint64_t dropped_lines_ = 0;
  int dropped_errnum_ = 0;
};

}  // namespace coracle::shim
