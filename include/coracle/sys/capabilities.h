// capabilities(7): names, masks, and the calls that set them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::sys {

using CapabilityMask = std::uint64_t;  // bit n = capability n

std::optional<int> CapabilityNumber(std::string_view name);  // "CAP_NET_RAW" -> 13
std::string_view CapabilityName(int number);                 // "" when unknown
int LastCapability();  // /proc/sys/kernel/cap_last_cap, read once

struct CapabilitySets {
  CapabilityMask bounding = 0, effective = 0, inheritable = 0, permitted = 0, ambient = 0;
};
Result<CapabilitySets> ReadCapabilities();  // of the calling thread
Result<CapabilitySets> capget();            // the same, but neither bounding nor ambient: one call
CapabilityMask ReadBounding(CapabilityMask asked);  // which of these: a call for each
Status DropBounding(CapabilityMask keep);           // prctl(PR_CAPBSET_DROP)
Status capset(const CapabilitySets& sets);          // effective, permitted, inheritable
Status RaiseAmbient(CapabilityMask ambient);        // clears the set first

}  // namespace coracle::sys
