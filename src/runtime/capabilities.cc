#include "capabilities.h"

#include <sys/prctl.h>

#include <vector>

namespace coracle::runtime {
namespace {

using sys::CapabilityMask;

class Planner {
 public:
  explicit Planner(const Warn& warn) : warn_(warn) {}

  // `allowed`: what can be granted; `why`: what to say of the rest.
  CapabilityMask Set(const char* set, const std::vector<std::string>& names, CapabilityMask allowed,
                     const char* why) {
    CapabilityMask mask = 0;
    for (const std::string& name : names) {
      const auto number = sys::CapabilityNumber(name);
      if (!number.has_value() || *number > sys::LastCapability()) {
        Say(set, name, "is unknown to this machine");
        continue;
      }
      const CapabilityMask bit = CapabilityMask{1} << static_cast<unsigned>(*number);
      if ((allowed & bit) != 0)
        mask |= bit;
      else
        Say(set, name, why);
    }
    return mask;
  }

 private:
  void Say(const char* set, const std::string& name, const char* why) {
    if (warn_)
      warn_("/process/capabilities/" + std::string(set) + ": " + name + " " + why + ", ignored");
  }
  const Warn& warn_;
};

CapabilityMask Mask(const std::vector<std::string>& names) {
  CapabilityMask mask = 0;
  for (const std::string& name : names)
    if (const auto number = sys::CapabilityNumber(name))
      mask |= CapabilityMask{1} << static_cast<unsigned>(*number);
  return mask;
}

// `bounding`: those of it that will be asked for.
Result<sys::CapabilitySets> OwnCapabilities(CapabilityMask bounding) {
  sys::CapabilitySets own = TRY(sys::capget());
  own.bounding = sys::ReadBounding(bounding);
  return own;
}

sys::CapabilitySets AllCapabilities() {
  const CapabilityMask all =
      (CapabilityMask{2} << static_cast<unsigned>(sys::LastCapability())) - 1;
  return {.bounding = all, .effective = all, .inheritable = all, .permitted = all, .ambient = all};
}

}  // namespace

Result<sys::CapabilitySets> PlanCapabilities(const oci::Process& process, bool new_user_namespace,
                                             const Warn& warn) {
  if (!process.capabilities.has_value()) return sys::CapabilitySets{};
  const oci::Capabilities& wanted = *process.capabilities;
  const sys::CapabilitySets own =
      new_user_namespace ? AllCapabilities() : TRY(OwnCapabilities(Mask(wanted.bounding)));
  constexpr const char* kNotOurs = "cannot be granted, since the runtime itself does not have it";
  Planner planner(warn);
  sys::CapabilitySets sets;
  sets.bounding = planner.Set("bounding", wanted.bounding, own.bounding, kNotOurs);
  sets.permitted = planner.Set("permitted", wanted.permitted, own.permitted, kNotOurs);
  sets.inheritable = planner.Set("inheritable", wanted.inheritable, own.permitted, kNotOurs);
  sets.effective = planner.Set("effective", wanted.effective, sets.permitted, "is not permitted");
  sets.ambient = planner.Set("ambient", wanted.ambient, sets.permitted & sets.inheritable,
                             "is not both permitted and inheritable");
  return sets;
}

Status LimitBoundingSet(const sys::CapabilitySets& sets) {
  return sys::DropBounding(sets.bounding);
}

Status SetCapabilities(const sys::CapabilitySets& sets) {
  TRY(sys::capset(sets));
  TRY(sys::RaiseAmbient(sets.ambient));
  // Kept over setuid(2) until now (SetUser).
  if (::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) return KernelError("prctl(2) PR_SET_KEEPCAPS 0");
  return {};
}

}  // namespace coracle::runtime
