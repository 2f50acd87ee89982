// Where the command line tells what went wrong: standard error, and the file of `--log` in the
// form that containerd's shim and podman read (the keys level, msg and time are their contract).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime::cli {

enum class LogFormat : bool { kText, kJson };
enum class LogLevel : std::uint8_t { kDebug, kWarning, kError };

class Log {
 public:
  // An empty path: standard error only. "file:PATH" is one, too; other places are refused.
  Status Open(const std::string& path, LogFormat format, LogLevel least);

  void Problem(const std::string& message) const { Write("error", message); }
  void Warning(const std::string& message) const {
    if (least_ <= LogLevel::kWarning) Write("warning", message);
  }
  void Debug(const std::string& message) const {
    if (least_ <= LogLevel::kDebug) Write("debug", message);
  }
  // For a person at the terminal only.
  void Hint(std::string_view text) const;

 private:
  void Write(std::string_view level, const std::string& message) const;

  UniqueFd file_;
  LogFormat format_ = LogFormat::kText;
  LogLevel least_ = LogLevel::kWarning;
};

// "2026-01-31T23:59:59.000000001Z", RFC 3339.
std::string Rfc3339(std::uint64_t unix_ns, bool with_fraction);

}  // namespace coracle::runtime::cli
