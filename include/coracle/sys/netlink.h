// rtnetlink(7): network interfaces of the calling thread's network namespace.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::sys {

// IFF_UP.
Status SetLinkUp(const std::string& name);

struct Link {
  std::string name = {};
  unsigned flags = 0;  // IFF_*
  std::uint64_t rx_bytes = 0, rx_errors = 0, tx_bytes = 0, tx_errors = 0;
};
// RTM_GETLINK, all interfaces.
Result<std::vector<Link>> ReadLinks();

}  // namespace coracle::sys
