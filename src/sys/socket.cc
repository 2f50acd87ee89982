#include "coracle/sys/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "coracle/sys/path.h"

namespace coracle::sys {
namespace {

constexpr std::size_t kMaxFds = 253;  // SCM_MAX_FD

// An address, and the descriptor that keeps a long one short.
struct Address {
  sockaddr_un raw{};
  socklen_t size = 0;
  UniqueFd directory;
};

Result<Address> MakeAddress(const std::string& path) {
  Address address;
  address.raw.sun_family = AF_UNIX;
  std::string name = path;
  if (name.starts_with('@')) {  // of the abstract namespace, whose names begin with a zero
    if (name.size() > sizeof address.raw.sun_path)
      return KernelError("unix socket path=" + path, ENAMETOOLONG);
    std::memcpy(address.raw.sun_path, name.data(), name.size());
    address.raw.sun_path[0] = '\0';
    address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    return address;
  }
  if (name.size() >= sizeof address.raw.sun_path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return KernelError("unix socket path=" + path, ENAMETOOLONG);
    address.directory = TRY(OpenRoot(slash == 0 ? "/" : path.substr(0, slash)));
    name = FdPath(address.directory.get()) + path.substr(slash);
    if (name.size() >= sizeof address.raw.sun_path)
      return KernelError("unix socket path=" + path, ENAMETOOLONG);
  }
  std::memcpy(address.raw.sun_path, name.c_str(), name.size() + 1);
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + 1);
  return address;
}

Result<UniqueFd> NewSocket(int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!fd) return KernelError("socket(2) AF_UNIX");
  return fd;
}

const sockaddr* Raw(const Address& address) {
  return reinterpret_cast<const sockaddr*>(&address.raw);
}

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> SeqpacketPair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0)
    return KernelError("socketpair(2) SOCK_SEQPACKET");
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<UniqueFd> ListenUnix(const std::string& path, mode_t mode, int type) {
  const Address address = TRY(MakeAddress(path));
  UniqueFd fd = TRY(NewSocket(type));
  // The mode of the socket before bind(2) is the mode of its file: nobody gets in between.
  if (::fchmod(fd.get(), mode) != 0) return KernelError("fchmod(2) socket path=" + path);
  if (::bind(fd.get(), Raw(address), address.size) != 0) return KernelError("bind(2) path=" + path);
  if ((type & 0xF) != SOCK_DGRAM && ::listen(fd.get(), SOMAXCONN) != 0) {
    const Error error = KernelError("listen(2) path=" + path);
    ::unlink(path.c_str());
    return error;
  }
  return fd;
}

Result<UniqueFd> ConnectUnix(const std::string& path, int type, bool named) {
  const Address address = TRY(MakeAddress(path));
  UniqueFd fd = TRY(NewSocket(type));
  if (named && ::bind(fd.get(), Raw(address), sizeof address.raw.sun_family) != 0)
    return KernelError("bind(2) autobind");
  while (::connect(fd.get(), Raw(address), address.size) != 0) {
    if (errno == EINTR) continue;
    Error error = KernelError("connect(2) path=" + path);
    if (error.errnum == ENOENT) error.code = Code::kNotFound;
    return error;
  }
  return fd;
}

Status SendFds(int socket, std::string_view data, const std::vector<int>& fds) {
  if (fds.size() > kMaxFds) return KernelError("sendmsg(2) SCM_RIGHTS", EINVAL);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
  // A stream carries descriptors only beside at least one byte.
  std::string_view bytes = data.empty() ? std::string_view("\0", 1) : data;
  iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  }
  for (;;) {
    const ssize_t size = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return KernelError("sendmsg(2) fds=" + std::to_string(fds.size()));
    if (static_cast<std::size_t>(size) != bytes.size())
      return KernelError("sendmsg(2) sent a part only", EMSGSIZE);
    return {};
  }
}

Result<Received> ReceiveFds(int socket, std::size_t limit_bytes) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxFds * sizeof(int))> control{};
  Received received;
  received.data.resize(limit_bytes);
  iovec vector{received.data.data(), received.data.size()};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t size;
  do {
    size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return KernelError("recvmsg(2)");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
    return Error{Code::kProtocol, EMSGSIZE,
                 "recvmsg(2): a message of more than " + std::to_string(limit_bytes) + " bytes"};
  received.data.resize(static_cast<std::size_t>(size));
  return received;
}

}  // namespace coracle::sys
