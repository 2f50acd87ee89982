// unix(7): SOCK_SEQPACKET pairs, listening sockets, descriptors as SCM_RIGHTS.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::sys {

Result<std::pair<UniqueFd, UniqueFd>> SeqpacketPair();

// "@name" is one of the abstract namespace. Paths longer than sun_path (107 bytes) work: bound and
// connected through a directory descriptor.
Result<UniqueFd> ListenUnix(const std::string& path, mode_t mode, int type /* SOCK_STREAM ... */);
// `named`: our end gets a name too, which accept(2) tells (an "autobind address", unix(7)).
Result<UniqueFd> ConnectUnix(const std::string& path, int type, bool named = false);

Status SendFds(int socket, std::string_view data, const std::vector<int>& fds);
struct Received {
  std::string data;
  std::vector<UniqueFd> fds;
};
Result<Received> ReceiveFds(int socket, std::size_t limit_bytes = 4096);

}  // namespace coracle::sys
