#include "seccomp_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>

#include "coracle/base/file.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime {
namespace {

// FNV-1a, 64 bits: it only has to name a file.
std::uint64_t Hash(std::string_view text, std::uint64_t hash = 0xcbf29ce484222325) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

std::string Hex(std::uint64_t value) {
  std::array<char, 17> text{};
  const auto end = std::to_chars(text.begin(), text.end(), value, 16).ptr;
  return {text.begin(), end};
}

std::string FileName(const std::string& directory, const std::string& key) {
  return directory + "/" + Hex(Hash(key));
}

// The key, its end, the hash of what follows it, the flags, the program: the hash tells a file that
// was cut short or spoiled by a failing disk.
std::string Head(const std::string& key, std::string_view body) {
  return key + '\0' + Hex(Hash(body)) + '\0';
}

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
  const std::size_t begin = content->find('\0', key.size() + 1);  // the end of the hash
  if (begin == std::string::npos) return std::nullopt;
  const std::string_view body = std::string_view(*content).substr(begin + 1);
  return content->starts_with(Head(key, body)) ? FilterOf(body) : std::nullopt;
}

Status WriteCachedFilter(const std::string& directory, const std::string& key,
                         const CachedFilter& filter) {
  TRY(MakeDirectories(directory, 0700));
  const std::string body = Body(filter);
  return WriteFileAtomically(FileName(directory, key), Head(key, body) + body, 0600);
}

}  // namespace coracle::runtime
