#include "coracle/base/id.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdlib>

namespace coracle {

Status ValidateId(std::string_view id) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-' || c == '.';
  };
  if (!id.empty() && id.size() <= 1024 && id != "." && id != ".." &&
      std::all_of(id.begin(), id.end(), allowed))
    return {};
  return Error{Code::kInvalidConfig, 0,
               "invalid container id '" + std::string(id.substr(0, 64)) +
                   "': 1 to 1024 of letters, digits, '_', '+', '-', '.', and neither '.' nor '..'"};
}

std::string RandomHex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  for (std::size_t have = 0; have < bytes;) {
    const ssize_t got = ::getrandom(raw.data() + have, bytes - have, 0);
    if (got < 0 && errno != EINTR) std::abort();  // a kernel without randomness: nothing is safe
    if (got > 0) have += static_cast<std::size_t>(got);
  }
  std::string hex;
  hex.reserve(bytes * 2);
  for (const char c : raw) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

}  // namespace coracle
