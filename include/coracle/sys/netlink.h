// rtnetlink(7): network interfaces and their addresses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::sys {

// IFF_UP, in the calling thread's network namespace.
Status SetLinkUp(const std::string& name);

struct Link {
  std::string name = {};
  int index = 0;
  unsigned flags = 0;  // IFF_*
  std::uint64_t rx_bytes = 0, rx_errors = 0, tx_bytes = 0, tx_errors = 0;
};
// RTM_GETLINK, all interfaces of the calling thread's network namespace.
Result<std::vector<Link>> ReadLinks();

// A socket belongs to the network namespace in which it was opened: the calling thread's, or the
// one of `netns_fd`, which the thread enters for that moment.
Result<UniqueFd> OpenRoute();
Result<UniqueFd> OpenRouteIn(int netns_fd);

Result<std::vector<Link>> ReadLinks(int route_fd);

// RTM_NEWLINK. The kernel changes the namespace first, then the name, then the flags; it may fail
// in between.
struct LinkChange {
  int index = 0;
  int netns_fd = -1;      // move it there
  int new_index = 0;      // with `netns_fd`: and there it has this one
  std::string name = {};  // "eth%d": the kernel chooses a number
  std::optional<bool> up = {};
};
Status ChangeLink(int route_fd, const LinkChange& change);

struct LinkAddress {
  std::uint8_t family = 0, prefix_length = 0, scope = 0;  // RT_SCOPE_*
  std::uint32_t flags = 0;                                // IFA_F_*
  std::uint32_t priority = 0;                             // of its prefix route; 0: the default
  std::string local = {}, address = {}, broadcast = {};   // in network order; empty: has none
};
Result<std::vector<LinkAddress>> ReadAddresses(int route_fd, int index);
Status AddAddress(int route_fd, int index, const LinkAddress& address);

std::string AddressText(const LinkAddress& address);  // "10.0.0.1/24"

}  // namespace coracle::sys
