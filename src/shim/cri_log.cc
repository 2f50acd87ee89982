#include "cri_log.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <span>
#include <utility>

namespace coracle::shim {
namespace {

constexpr std::string_view kNewline = "\n";
constexpr std::size_t kMaxVectors = IOV_MAX;

Result<UniqueFd> OpenLog(const std::string& path) {
  // A link in the log directory must not make us append to another file.
  UniqueFd file(
      open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0640));
  if (!file) return KernelError("open(2) log path=" + path);
  return file;
}

// "2026-11-22T10:05:01.123456789Z". Not gmtime(3), which reads the time zone's file.
std::string Rfc3339Now() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::chrono::sys_seconds seconds{std::chrono::seconds{now.tv_sec}};
  const auto days = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date{days};
  const std::chrono::hh_mm_ss time{seconds - days};
  std::array<char, 64> text;
  const int size =
      snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%09ldZ",
               static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
               static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
               static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
               now.tv_nsec);
  return {text.data(), static_cast<std::size_t>(size)};
}

iovec Vector(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

}  // namespace

Result<std::unique_ptr<CriLog>> CriLog::Open(const std::string& path) {
  UniqueFd file = TRY(OpenLog(path));
  return std::unique_ptr<CriLog>(new CriLog(path, std::move(file)));
}

CriLog::~CriLog() {
  End(LogStream::kStdout);
  End(LogStream::kStderr);
}

Status CriLog::Reopen() {
  file_ = TRY(OpenLog(path_));
  return {};
}

void CriLog::StampBatch(LogStream stream) {
  full_prefix_ = Rfc3339Now() + (stream == LogStream::kStdout ? " stdout F " : " stderr F ");
  partial_prefix_ = full_prefix_;
  partial_prefix_[partial_prefix_.size() - 2] = 'P';
}

void CriLog::AddLine(bool is_full, std::string_view line) {
  if (batch_.size() + 3 > kMaxVectors) Flush();
  const std::string& prefix = is_full ? full_prefix_ : partial_prefix_;
  batch_.push_back(Vector(prefix));
  batch_.push_back(Vector(line));
  std::size_t size = prefix.size() + line.size();
  if (!line.ends_with('\n')) {
    batch_.push_back(Vector(kNewline));
    ++size;
  }
  line_sizes_.push_back(size);
}

void CriLog::Write(LogStream stream, std::string_view bytes) {
  if (bytes.empty()) return;
  StampBatch(stream);
  std::string& unfinished = unfinished_[static_cast<std::size_t>(stream)];
  std::string finished;  // what `unfinished` has become, until it is written
  if (!unfinished.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t room = kMaxLogLine - unfinished.size();
    const std::size_t rest = std::min(newline, bytes.size());
    const bool is_full = newline != std::string_view::npos && rest <= room;
    if (!is_full && rest <= room) {
      unfinished.append(bytes);
      return;
    }
    const std::size_t taken = is_full ? newline + 1 : room;
    finished = std::exchange(unfinished, {});
    finished.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    AddLine(is_full, finished);
  }
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t length = std::min(newline, bytes.size());
    const bool is_full = newline != std::string_view::npos && length <= kMaxLogLine;
    if (!is_full && length <= kMaxLogLine) break;
    const std::size_t taken = is_full ? newline + 1 : kMaxLogLine;
    AddLine(is_full, bytes.substr(0, taken));
    bytes.remove_prefix(taken);
  }
  unfinished.assign(bytes);
  Flush();
}

void CriLog::End(LogStream stream) {
  std::string& unfinished = unfinished_[static_cast<std::size_t>(stream)];
  StampBatch(stream);
  if (!unfinished.empty()) AddLine(false, unfinished);
  Flush();
  unfinished.clear();
  unfinished.shrink_to_fit();
}

void CriLog::Flush() {
  if (dropped_lines_ > 0 && !NoteDropped()) {
    dropped_lines_ += line_sizes_.size();
  } else if (!batch_.empty()) {
    const std::size_t written = WriteOut();
    CutTornLine(written);
  }
  batch_.clear();
  line_sizes_.clear();
}

// How many bytes of the batch are in the file. One write(2), unless the disk is about to be full.
std::size_t CriLog::WriteOut() {
  std::size_t total = 0;
  std::span<iovec> left(batch_);
  while (!left.empty()) {
    const ssize_t written = writev(file_.get(), left.data(), static_cast<int>(left.size()));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      dropped_errnum_ = errno;
      break;
    }
    total += static_cast<std::size_t>(written);
    std::size_t done = static_cast<std::size_t>(written);
    while (!left.empty() && done >= left.front().iov_len) {
      done -= left.front().iov_len;
      left = left.subspan(1);
    }
    if (done > 0) {
      left.front().iov_base = static_cast<char*>(left.front().iov_base) + done;
      left.front().iov_len -= done;
    }
  }
  return total;
}

// A reader must never see half a line that the next one continues.
void CriLog::CutTornLine(std::size_t written) {
  std::size_t whole = 0;
  std::size_t lines = 0;
  while (lines < line_sizes_.size() && whole + line_sizes_[lines] <= written)
    whole += line_sizes_[lines++];
  dropped_lines_ += line_sizes_.size() - lines;
  if (whole == written) return;
  const off_t end = lseek(file_.get(), 0, SEEK_CUR);
  // Nothing more can be done where even this fails; the line is counted as dropped.
  if (end >= 0) (void)!ftruncate(file_.get(), end - static_cast<off_t>(written - whole));
}

bool CriLog::NoteDropped() {
  const std::string note =
      Rfc3339Now() + " stderr F coracle-shim: " + std::to_string(dropped_lines_) +
      " lines of this log were dropped: write(2): " + ErrnoText(dropped_errnum_) + "\n";
  const ssize_t written = write(file_.get(), note.data(), note.size());
  if (written == static_cast<ssize_t>(note.size())) {
    dropped_lines_ = 0;
    return true;
  }
  if (written > 0) {
    const off_t end = lseek(file_.get(), 0, SEEK_CUR);
    if (end >= 0) (void)!ftruncate(file_.get(), end - written);
  }
  return false;
}

}  // namespace coracle::shim
