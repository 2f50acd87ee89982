#include "coracle/sys/netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cstring>
#include <span>

#include "coracle/base/unique_fd.h"

namespace coracle::sys {
namespace {

// Large enough for any message of a dump: the kernel fills at most 32 KiB at a time.
constexpr std::size_t kReceiveBytes = 65536;

struct LinkRequest {
  nlmsghdr header;
  ifinfomsg link;
};

Result<UniqueFd> OpenRoute() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return KernelError("socket(2) AF_NETLINK NETLINK_ROUTE");
  return fd;
}

Status Send(int fd, LinkRequest request, const std::string& call) {
  request.header.nlmsg_len = sizeof request;
  const ssize_t size = ::send(fd, &request, sizeof request, 0);
  if (size != static_cast<ssize_t>(sizeof request)) return KernelError("send(2) " + call);
  return {};
}

Result<std::span<const char>> Receive(int fd, std::vector<char>& buffer, const std::string& call) {
  for (;;) {
    const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), MSG_TRUNC);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return KernelError("recv(2) " + call);
    if (static_cast<std::size_t>(size) > buffer.size())
      return Error{Code::kProtocol, EMSGSIZE, call + ": the kernel's answer is too long"};
    return std::span<const char>(buffer.data(), static_cast<std::size_t>(size));
  }
}

// The error of an NLMSG_ERROR message; an acknowledgement is one with error 0.
Status ErrorOf(const char* message, const std::string& call) {
  nlmsgerr error{};
  std::memcpy(&error, message + NLMSG_HDRLEN, sizeof error);
  if (error.error != 0) return KernelError("netlink(7) " + call, -error.error);
  return {};
}

Link ParseLink(const char* message, std::size_t size) {
  Link link;
  ifinfomsg info{};
  std::memcpy(&info, message + NLMSG_HDRLEN, sizeof info);
  link.flags = info.ifi_flags;
  std::size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof info);
  while (at + sizeof(rtattr) <= size) {
    rtattr attribute{};
    std::memcpy(&attribute, message + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > size) break;
    const char* data = message + at + RTA_LENGTH(0);
    const std::size_t length = attribute.rta_len - RTA_LENGTH(0);
    if (attribute.rta_type == IFLA_IFNAME) link.name.assign(data, ::strnlen(data, length));
    if (attribute.rta_type == IFLA_STATS64 && length >= offsetof(rtnl_link_stats64, rx_dropped)) {
      rtnl_link_stats64 stats{};
      std::memcpy(&stats, data, std::min(length, sizeof stats));
      link.rx_bytes = stats.rx_bytes;
      link.rx_errors = stats.rx_errors;
      link.tx_bytes = stats.tx_bytes;
      link.tx_errors = stats.tx_errors;
    }
    at += RTA_ALIGN(attribute.rta_len);
  }
  return link;
}

}  // namespace

Status SetLinkUp(const std::string& name) {
  const std::string call = "RTM_NEWLINK name=" + name + " flags=IFF_UP";
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return KernelError("if_nametoindex(3) name=" + name);
  const UniqueFd fd = TRY(OpenRoute());
  LinkRequest request{};
  request.header.nlmsg_type = RTM_NEWLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.link.ifi_family = AF_UNSPEC;
  request.link.ifi_index = static_cast<int>(index);
  request.link.ifi_flags = IFF_UP;
  request.link.ifi_change = IFF_UP;
  TRY(Send(fd.get(), request, call));
  std::vector<char> buffer(kReceiveBytes);
  const std::span<const char> answer = TRY(Receive(fd.get(), buffer, call));
  if (answer.size() < NLMSG_HDRLEN + sizeof(nlmsgerr))
    return Error{Code::kProtocol, 0, call + ": no acknowledgement"};
  return ErrorOf(answer.data(), call);
}

Result<std::vector<Link>> ReadLinks() {
  const std::string call = "RTM_GETLINK";
  const UniqueFd fd = TRY(OpenRoute());
  LinkRequest request{};
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.link.ifi_family = AF_UNSPEC;
  TRY(Send(fd.get(), request, call));
  std::vector<Link> links;
  std::vector<char> buffer(kReceiveBytes);
  for (;;) {
    std::span<const char> rest = TRY(Receive(fd.get(), buffer, call));
    while (rest.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header{};
      std::memcpy(&header, rest.data(), sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size())
        return Error{Code::kProtocol, 0, call + ": a message is cut off"};
      if (header.nlmsg_type == NLMSG_DONE) return links;
      if (header.nlmsg_type == NLMSG_ERROR) TRY(ErrorOf(rest.data(), call));
      if (header.nlmsg_type == RTM_NEWLINK)
        links.push_back(ParseLink(rest.data(), header.nlmsg_len));
      rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    }
  }
}

}  // namespace coracle::sys
