// The systemd cgroup manager: asks systemd, through the program coracle-systemd, for the scope of
// a container. The limits are written to its cgroup by us all the same (cgroup_manager.h).
#pragma once

#include <string>
#include <vector>

#include "cgroup_manager.h"
#include "coracle/base/result.h"
#include "systemd_unit.h"

namespace coracle::runtime {

// The user's own manager is asked by who is not root, or is root only in a user namespace.
bool UsesUserManager();

// The plan of PlanCgroup, for a host whose cgroups systemd makes.
Result<CgroupPlan> PlanSystemdCgroup(const CgroupHost& host, const oci::Spec& spec,
                                     const std::string& id, bool ignore_missing_controllers);

// The scope with its cgroup, which a process of ours keeps in being until the container is in it.
// Leaves nothing when it fails.
Result<Cgroup> StartScope(const CgroupPlan& plan);

// Moves this process to a scope of its own below the user's manager, unless it may move processes
// to `cgroup` from where it is. cgroups(7): that takes the right to write to the nearest cgroup
// above both, and what is above a login session and the user's manager is root's.
Status EnterUserManager(const std::string& cgroup);

// Properties that are not named stay. Those that only a new unit can have are left out.
Status SetUnitProperties(const SystemdUnit& unit, const std::vector<UnitProperty>& properties);

// All processes must be dead. A unit that is not there is success, one that failed is forgotten.
Status StopUnit(const SystemdUnit& unit);

// The program that speaks D-Bus: beside ours, or in ../libexec/coracle of it.
Result<std::string> FindSystemdProgram();

}  // namespace coracle::runtime
