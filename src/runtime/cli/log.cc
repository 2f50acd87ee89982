#include "log.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "coracle/base/file.h"
#include "coracle/base/json.h"

namespace coracle::runtime::cli {
namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

std::string Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return Rfc3339(static_cast<std::uint64_t>(now.tv_sec) * kNanosecondsPerSecond, false);
}

// Nobody is left to hear that a message could not be written.
void WriteLine(int fd, const std::string& line) { (void)WriteAll(fd, line + "\n", "log"); }

std::string JsonLine(std::string_view level, const std::string& message) {
  return PrintJson({{"level", level}, {"msg", message}, {"time", Now()}});
}

}  // namespace

std::string Rfc3339(std::uint64_t unix_ns, bool with_fraction) {
  const auto seconds = static_cast<time_t>(unix_ns / kNanosecondsPerSecond);
  tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const auto size = ::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  std::string out(text.data(), size);
  if (with_fraction) {
    std::string fraction = std::to_string(unix_ns % kNanosecondsPerSecond);
    out += "." + std::string(9 - fraction.size(), '0') + fraction;
  }
  return out + "Z";
}

Status Log::Open(const std::string& place, LogFormat format, LogLevel least) {
  format_ = format;
  least_ = least;
  for (const std::string_view other : {"journald:", "syslog:"})
    if (place.starts_with(other))
      return Error{Code::kUnsupported, 0, "--log: only a file is supported, not " + place};
  constexpr std::string_view kFile = "file:";
  const std::string path = place.starts_with(kFile) ? place.substr(kFile.size()) : place;
  if (path.empty()) return {};
  file_ = UniqueFd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file_) return KernelError("open log: open(2) path=" + path);
  return {};
}

void Log::Hint(std::string_view text) const {
  if (format_ == LogFormat::kText || file_)
    WriteLine(STDERR_FILENO, "coracle: hint: " + std::string(text));
}

void Log::Write(std::string_view level, const std::string& message) const {
  const bool json = format_ == LogFormat::kJson;
  const std::string prefix = level == "error" ? "" : std::string(level) + ": ";
  const std::string plain = "coracle: " + prefix + message;
  if (!file_) return WriteLine(STDERR_FILENO, json ? JsonLine(level, message) : plain);
  WriteLine(file_.get(), json ? JsonLine(level, message)
                              : "time=\"" + Now() + "\" level=" + std::string(level) +
                                    " msg=" + PrintJson(message));
  // conmon and people read it here.
  if (level == "error") WriteLine(STDERR_FILENO, plain);
}

}  // namespace coracle::runtime::cli
