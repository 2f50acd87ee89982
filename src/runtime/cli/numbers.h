// Numbers as people write them on the command line: the whole word or an error.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>

#include "coracle/base/result.h"

namespace coracle::runtime::cli {

template <class T>
Result<T> ParseNumber(const std::string& text, const std::string& option) {
  T number{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (text.empty() || error != std::errc() || stop != end) {
    return Error{Code::kInvalidConfig, 0,
                 option + ": \"" + text + "\" is not a number from " +
                     std::to_string(std::numeric_limits<T>::min()) + " to " +
                     std::to_string(std::numeric_limits<T>::max())};
  }
  return number;
}

// "1048576", "512k", "64MiB", "1g"; -1 for unlimited.
Result<std::int64_t> ParseBytes(const std::string& text, const std::string& option);

// "5s", "500ms", "1m": as Go prints a duration.
Result<std::int64_t> ParseMilliseconds(const std::string& text, const std::string& option);

}  // namespace coracle::runtime::cli
