#include "seccomp_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <functional>

#include "coracle/base/file.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime {
namespace {

// It only has to name a file, and to tell a spoiled one.
std::uint64_t Hash(std::string_view text) { return std::hash<std::string_view>()(text); }

std::string Hex(std::uint64_t value) {
  std::array<char, 17> text{};
  const auto end = std::to_chars(text.begin(), text.end(), value, 16).ptr;
  return {text.begin(), end};
}

std::string FileName(const std::string& directory, const std::string& key) {
  return directory + "/" + Hex(Hash(key));
}

// Behind the key, its end, and the hash of this: a file may have been cut short or spoiled by a
// failing disk.
std::string Body(const CachedFilter& filter) {
  const std::size_t size = filter.instructions.size() * sizeof(sock_filter);
  std::string body(sizeof filter.flags + size, '\0');
  std::memcpy(body.data(), &filter.flags, sizeof filter.flags);
  std::memcpy(body.data() + sizeof filter.flags, filter.instructions.data(), size);
  return body;
}

std::optional<CachedFilter> FilterOf(std::string_view body) {
  CachedFilter filter;
  if (body.size() <= sizeof filter.flags) return std::nullopt;
  std::memcpy(&filter.flags, body.data(), sizeof filter.flags);
  body.remove_prefix(sizeof filter.flags);
  if (body.size() % sizeof(sock_filter) != 0) return std::nullopt;
  filter.instructions.resize(body.size() / sizeof(sock_filter));
  std::memcpy(filter.instructions.data(), body.data(), body.size());
  return filter;
}

// Nobody else may have written what the kernel is going to trust.
bool IsOurs(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid() &&
         (status.st_mode & 077U) == 0;
}

}  // namespace

std::optional<CachedFilter> ReadCachedFilter(const std::string& directory, const std::string& key) {
  const UniqueFd file(
      ::open(FileName(directory, key).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file || !IsOurs(file.get())) return std::nullopt;
  const auto content = ReadFd(file.get(), "cached filter", 1UL << 20);
  if (!content.has_value()) return std::nullopt;
  std::string_view rest = *content;
  if (!rest.starts_with(key) || rest.size() == key.size() || rest[key.size()] != '\0')
    return std::nullopt;
  rest.remove_prefix(key.size() + 1);
  const std::size_t end = rest.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view body = rest.substr(end + 1);
  return rest.substr(0, end) == Hex(Hash(body)) ? FilterOf(body) : std::nullopt;
}

Status WriteCachedFilter(const std::string& directory, const std::string& key,
                         const CachedFilter& filter) {
  TRY(MakeDirectories(directory, 0700));
  const std::string body = Body(filter);
  return WriteFileAtomically(FileName(directory, key), key + '\0' + Hex(Hash(body)) + '\0' + body,
                             0600);
}

}  // namespace coracle::runtime
