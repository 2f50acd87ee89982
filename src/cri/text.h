// Small text and time helpers of the daemon.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coracle::cri {

// Nanoseconds since 1970, as CRI gives times.
std::int64_t NowUnixNs();

// Bytes that are not UTF-8 become U+FFFD: protobuf strings must be UTF-8.
std::string ToUtf8(std::string_view bytes);

std::vector<std::string> Split(std::string_view text, char separator);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);

// Unsigned decimal digits only, no sign, no space, nothing after them; false when it does not fit.
bool ParseUint32(std::string_view text, std::uint32_t& out);

// An absolute path without ".", ".." and double slashes, "" stays "".
std::string CleanPath(std::string_view path);

}  // namespace coracle::cri
