// Who a container's process runs as: CRI's and the image's words, looked up in the image's own
// /etc/passwd and /etc/group. No NSS: these files are all there is, and they are hostile input.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api.h"
#include "coracle/base/result.h"

namespace coracle::cri {

struct Identity {
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> groups;  // supplementary, the primary one first
  std::string home;                   // of passwd; "" when the user is not in it
};

// `image_user` is the image's USER: "user", "user:group", names or numbers.
Result<Identity> ResolveIdentity(const v1::LinuxContainerSecurityContext& context,
                                 const std::string& image_user, const std::string& passwd,
                                 const std::string& group);

// "1000:1000" -> 1000; a name or "" -> nothing. What ImageStatus reports.
std::optional<std::uint32_t> NumericUser(const std::string& image_user);
// "www-data:users" -> "www-data".
std::string UserPart(const std::string& image_user);

// A small regular file of the image, "" when there is none; whatever else lies there is an error.
Result<std::string> ReadImageFile(int root_fd, const std::string& path);

}  // namespace coracle::cri
