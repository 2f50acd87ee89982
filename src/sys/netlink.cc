#include "coracle/sys/netlink.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <functional>
#include <span>

#include "coracle/sys/namespaces.h"

namespace coracle::sys {
namespace {

// Large enough for any message of a dump: the kernel fills at most 32 KiB at a time.
constexpr std::size_t kReceiveBytes = 65536;

// One request: header, the fixed part that its type has, attributes.
class Request {
 public:
  template <class Fixed>
  Request(std::uint16_t type, std::uint16_t flags, const Fixed& fixed) {
    header_.nlmsg_type = type;
    header_.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
    bytes_.resize(NLMSG_HDRLEN);
    bytes_.append(reinterpret_cast<const char*>(&fixed), sizeof fixed);
    Align();
  }

  Request& Put(std::uint16_t type, std::string_view data) {
    const rtattr attribute{static_cast<std::uint16_t>(RTA_LENGTH(data.size())), type};
    bytes_.append(reinterpret_cast<const char*>(&attribute), sizeof attribute);
    bytes_.append(data);
    Align();
    return *this;
  }
  template <class Number>
  Request& PutNumber(std::uint16_t type, Number number) {
    return Put(type, {reinterpret_cast<const char*>(&number), sizeof number});
  }
  Request& PutUnlessEmpty(std::uint16_t type, const std::string& data) {
    return data.empty() ? *this : Put(type, data);
  }

  // The kernel wants the whole length in the header.
  const std::string& Bytes() {
    header_.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &header_, sizeof header_);
    return bytes_;
  }

 private:
  void Align() { bytes_.resize(NLMSG_ALIGN(bytes_.size())); }

  nlmsghdr header_{};
  std::string bytes_;
};

Status Send(int fd, Request& request, const std::string& call) {
  const std::string& bytes = request.Bytes();
  const ssize_t size = ::send(fd, bytes.data(), bytes.size(), 0);
  if (size != static_cast<ssize_t>(bytes.size())) return KernelError("send(2) " + call);
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
Status ErrorOf(std::span<const char> message, const std::string& call) {
  nlmsgerr error{};
  if (message.size() < NLMSG_HDRLEN + sizeof error)
    return Error{Code::kProtocol, 0, call + ": no acknowledgement"};
  std::memcpy(&error, message.data() + NLMSG_HDRLEN, sizeof error);
  if (error.error != 0) return KernelError("netlink(7) " + call, -error.error);
  return {};
}

// A request that is answered by an acknowledgement only.
Status Ask(int fd, Request& request, const std::string& call) {
  TRY(Send(fd, request, call));
  std::vector<char> buffer(kReceiveBytes);
  return ErrorOf(TRY(Receive(fd, buffer, call)), call);
}

// A request for all that there is: `each` gets the messages of `type`, whole.
Status Dump(int fd, Request& request, const std::string& call,
            const std::function<void(std::span<const char>)>& each) {
  TRY(Send(fd, request, call));
  std::vector<char> buffer(kReceiveBytes);
  for (;;) {
    std::span<const char> rest = TRY(Receive(fd, buffer, call));
    while (rest.size() >= sizeof(nlmsghdr)) {
      nlmsghdr header{};
      std::memcpy(&header, rest.data(), sizeof header);
      if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size())
        return Error{Code::kProtocol, 0, call + ": a message is cut off"};
      if (header.nlmsg_type == NLMSG_DONE) return {};
      const std::span<const char> message = rest.first(header.nlmsg_len);
      if (header.nlmsg_type == NLMSG_ERROR) TRY(ErrorOf(message, call));
      if (header.nlmsg_type == RTM_NEWLINK || header.nlmsg_type == RTM_NEWADDR) each(message);
      rest = rest.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    }
  }
}

// Reads the fixed part of `message`, and gives each attribute after it to `take`.
template <class Fixed>
Fixed Read(std::span<const char> message,
           const std::function<void(std::uint16_t type, std::string_view data)>& take) {
  Fixed fixed{};
  if (message.size() < NLMSG_HDRLEN + sizeof fixed) return fixed;
  std::memcpy(&fixed, message.data() + NLMSG_HDRLEN, sizeof fixed);
  std::size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof fixed);
  while (at + sizeof(rtattr) <= message.size()) {
    rtattr attribute{};
    std::memcpy(&attribute, message.data() + at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || at + attribute.rta_len > message.size()) break;
    take(attribute.rta_type,
         {message.data() + at + RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0)});
    at += RTA_ALIGN(attribute.rta_len);
  }
  return fixed;
}

template <class Number>
void ReadNumber(std::string_view data, Number& out) {
  if (data.size() >= sizeof out) std::memcpy(&out, data.data(), sizeof out);
}

Link ParseLink(std::span<const char> message) {
  Link link;
  const auto info = Read<ifinfomsg>(message, [&link](std::uint16_t type, std::string_view data) {
    if (type == IFLA_IFNAME) link.name.assign(data.substr(0, data.find('\0')));
    if (type != IFLA_STATS64 || data.size() < offsetof(rtnl_link_stats64, rx_dropped)) return;
    rtnl_link_stats64 stats{};
    std::memcpy(&stats, data.data(), std::min(data.size(), sizeof stats));
    link.rx_bytes = stats.rx_bytes;
    link.rx_errors = stats.rx_errors;
    link.tx_bytes = stats.tx_bytes;
    link.tx_errors = stats.tx_errors;
  });
  link.index = info.ifi_index;
  link.flags = info.ifi_flags;
  return link;
}

// The index of its interface, and the address.
std::pair<int, LinkAddress> ParseAddress(std::span<const char> message) {
  LinkAddress address;
  std::optional<std::uint32_t> flags;
  const auto info = Read<ifaddrmsg>(message, [&](std::uint16_t type, std::string_view data) {
    if (type == IFA_LOCAL) address.local = data;
    if (type == IFA_ADDRESS) address.address = data;
    if (type == IFA_BROADCAST) address.broadcast = data;
    if (type == IFA_RT_PRIORITY) ReadNumber(data, address.priority);
    if (type == IFA_FLAGS) ReadNumber(data, flags.emplace());
  });
  address.family = info.ifa_family;
  address.prefix_length = info.ifa_prefixlen;
  address.scope = info.ifa_scope;
  address.flags = flags.value_or(info.ifa_flags);  // of these only 8 bits fit
  return {static_cast<int>(info.ifa_index), address};
}

std::string ChangeText(const LinkChange& change) {
  std::string text = "RTM_NEWLINK index=" + std::to_string(change.index);
  if (change.netns_fd >= 0) text += " netns";
  if (!change.name.empty()) text += " name=" + change.name;
  if (change.up) text += *change.up ? " up" : " down";
  return text;
}

}  // namespace

Result<UniqueFd> OpenRoute() {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return KernelError("socket(2) AF_NETLINK NETLINK_ROUTE");
  return fd;
}

Result<UniqueFd> OpenRouteIn(int netns_fd) {
  const UniqueFd own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!own) return KernelError("open(2) path=/proc/thread-self/ns/net");
  TRY(setns(netns_fd, CLONE_NEWNET));
  Result<UniqueFd> route = OpenRoute();
  TRY(setns(own.get(), CLONE_NEWNET));
  return route;
}

Status SetLinkUp(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return KernelError("if_nametoindex(3) name=" + name);
  const UniqueFd route = TRY(OpenRoute());
  return ChangeLink(route.get(), {.index = static_cast<int>(index), .up = true});
}

Result<std::vector<Link>> ReadLinks() { return ReadLinks(TRY(OpenRoute()).get()); }

Result<std::vector<Link>> ReadLinks(int route_fd) {
  std::vector<Link> links;
  Request request(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
  TRY(Dump(route_fd, request, "RTM_GETLINK",
           [&links](std::span<const char> message) { links.push_back(ParseLink(message)); }));
  return links;
}

Status ChangeLink(int route_fd, const LinkChange& change) {
  ifinfomsg info{};
  info.ifi_index = change.index;
  if (change.up) {
    info.ifi_flags = *change.up ? IFF_UP : 0;
    info.ifi_change = IFF_UP;
  }
  Request request(RTM_NEWLINK, NLM_F_ACK, info);
  if (change.netns_fd >= 0) request.PutNumber(IFLA_NET_NS_FD, change.netns_fd);
  if (change.new_index != 0) request.PutNumber(IFLA_NEW_IFINDEX, change.new_index);
  if (!change.name.empty()) request.Put(IFLA_IFNAME, {change.name.c_str(), change.name.size() + 1});
  return Ask(route_fd, request, ChangeText(change));
}

Result<std::vector<LinkAddress>> ReadAddresses(int route_fd, int index) {
  std::vector<LinkAddress> addresses;
  Request request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  TRY(Dump(route_fd, request, "RTM_GETADDR", [&](std::span<const char> message) {
    const auto [of, address] = ParseAddress(message);
    if (of == index) addresses.push_back(address);
  }));
  return addresses;
}

Status AddAddress(int route_fd, int index, const LinkAddress& address) {
  ifaddrmsg info{};
  info.ifa_family = address.family;
  info.ifa_prefixlen = address.prefix_length;
  info.ifa_scope = address.scope;
  info.ifa_index = static_cast<unsigned>(index);
  Request request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, info);
  request.PutUnlessEmpty(IFA_LOCAL, address.local)
      .PutUnlessEmpty(IFA_ADDRESS, address.address)
      .PutUnlessEmpty(IFA_BROADCAST, address.broadcast)
      .PutNumber(IFA_FLAGS, address.flags);
  if (address.priority != 0) request.PutNumber(IFA_RT_PRIORITY, address.priority);
  return Ask(route_fd, request, "RTM_NEWADDR " + AddressText(address));
}

std::string AddressText(const LinkAddress& address) {
  const std::string& bytes = address.local.empty() ? address.address : address.local;
  std::array<char, INET6_ADDRSTRLEN> text{};
  const std::size_t wanted = address.family == AF_INET ? 4 : 16;
  if (bytes.size() != wanted ||
      ::inet_ntop(address.family, bytes.data(), text.data(), text.size()) == nullptr)
    return "address of family " + std::to_string(address.family);
  return std::string(text.data()) + "/" + std::to_string(address.prefix_length);
}

}  // namespace coracle::sys
