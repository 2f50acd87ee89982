// What systemd is asked for: the unit of a container, and limits as unit properties. Pure.
// systemd.unit(5), systemd.scope(5), systemd.resource-control(5), org.freedesktop.systemd1(5).
#pragma once

#include <string>
#include <vector>

#include "cgroup_manager.h"
#include "coracle/base/json.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

// One property of a systemd unit, as its D-Bus interface takes it.
struct UnitProperty {
  std::string name = {};
  std::string signature = {};  // of the value: "t", "a(ss)", ...
  Json value = {};             // an array and a struct are both JSON arrays
  int since = 0;               // left out for an older systemd
  bool only_at_start = false;  // cannot be changed afterwards
};

// The scope that systemd makes for the container, in place of our own mkdir(2).
struct SystemdUnit {
  std::string name = {};      // "crio-demo.scope"
  std::string slice = {};     // "kubepods-pod1.slice"
  bool user_manager = false;  // of the user's own systemd
  std::vector<UnitProperty> start_properties = {};
  std::vector<UnitProperty> last_properties = {};  // those that could hit us
};

// cgroupsPath as systemd's names: "slice:prefix:name", or empty for a scope named after `id`.
// Without a slice it is system.slice, or user.slice of the user's manager.
Result<SystemdUnit> PlanUnit(const std::string& cgroups_path, const std::string& id,
                             bool user_manager);

// "a-b.slice" lies at "/a.slice/a-b.slice": every dash is one more level.
Result<std::string> SlicePath(const std::string& slice);

// With these the scope is made, as runc makes its own.
std::vector<UnitProperty> ScopeProperties(const SystemdUnit& unit, const std::string& id);

// The writes that systemd has a property for. It writes such a file again whenever it likes
// (daemon-reload), so it must know our value. A quota of the CPU, of which it keeps whole percents,
// is rounded up in `writes` as well.
std::vector<UnitProperty> LimitProperties(std::vector<CgroupWrite>& writes);

// DevicePolicy and DeviceAllow. systemd knows no denial; its program stands beside ours, and both
// must agree: so this allows at least what `rules` do, and ours decides.
std::vector<UnitProperty> DeviceProperties(const std::vector<oci::DeviceRule>& rules);

// "org.systemd.property.NAME": a value in the text format of GVariant. All problems in one Error.
Result<std::vector<UnitProperty>> AnnotatedProperties(const oci::Annotations& annotations);

}  // namespace coracle::runtime
