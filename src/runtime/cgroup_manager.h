// The container's cgroup v2: planned from the spec without touching the system, then made, limited,
// frozen, updated, removed. cgroups(7), Documentation/admin-guide/cgroup-v2.rst;
// config-linux.md#control-groups. The cgroupfs manager: plain directories, plain writes.
//
// Order at create: MakeCgroup, clone3 into `directory`, AttachDevices and ApplyLimits(limits) while
// the child works, ApplyLimits(last_limits) when nothing of ours is left to allocate or fork in it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

// What planning has to know of the machine.
struct CgroupHost {
  std::string mount = {};                     // of cgroup2, absolute
  std::string own = "/";                      // our own cgroup, below `mount`
  std::vector<std::string> controllers = {};  // available at `mount`
};
Result<CgroupHost> ReadCgroupHost();

// One write(2) to one file of the cgroup.
struct CgroupWrite {
  std::string file, text;
  std::string pointer;      // the member of config.json it comes from
  bool if_exists = false;   // no such file: nothing to do
  std::string unless = {};  // nothing to do where this file exists
  int tolerated_errno = 0;  // this failure is no failure (a later write makes up for it)
};

struct SystemdUnit;  // systemd_unit.h

struct CgroupPlan {
  std::string mount = {};                     // of cgroup2, absolute
  std::string path = {};                      // below `mount`: "/pod/demo", normalised
  std::vector<std::string> available = {};    // controllers of `mount`; empty: not read
  std::vector<std::string> controllers = {};  // those the writes need
  std::vector<CgroupWrite> limits = {};       // in order
  std::vector<CgroupWrite> last_limits = {};  // those that could hit us: pids.max, memory.max
  std::vector<oci::DeviceRule> devices = {};  // in order, the default ones at the end
  std::vector<std::string> warnings = {};     // limits left out with `ignore_missing_controllers`
  bool asked_for = false;                     // by a path, or by a limit
  std::size_t device_rules_given = 0;         // of those in `devices`
  std::shared_ptr<const SystemdUnit> unit = {};  // then `path` is where it will lie, or empty
  // Empty: there is none, or only systemd knows where it will be.
  [[nodiscard]] std::string Directory() const { return path.empty() ? "" : mount + path; }
};

// Pure. cgroupsPath absolute: below the mount; relative, or empty (then the id): beside our own
// cgroup, as runc does, since ours has processes in it and may not have limited children. All
// problems in one error (kInvalidConfig for a value, kUnsupported for a missing controller).
Result<CgroupPlan> PlanCgroup(const CgroupHost& host, const oci::Spec& spec, const std::string& id,
                              bool ignore_missing_controllers);

// The part of PlanCgroup that is not about the place: limits, devices, controllers, warnings.
Status PlanCgroupLimits(const CgroupHost& host, const oci::Resources& resources,
                        bool ignore_missing_controllers, CgroupPlan& plan);

// For the manager "disabled": an empty path, and a warning for each limit that nothing applies.
Result<CgroupPlan> PlanWithoutCgroup(const oci::Spec& spec);

// A process that does nothing but keep a cgroup from being empty. It is gone with this object.
class Placeholder {
 public:
  Placeholder() = default;
  static Result<Placeholder> Start();
  Placeholder(Placeholder&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Placeholder& operator=(Placeholder&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  Placeholder(const Placeholder&) = delete;
  Placeholder& operator=(const Placeholder&) = delete;
  ~Placeholder() { End(); }
  void End() noexcept;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

// A cgroup that exists. `created`: the directories that were made for it, outermost first; it
// belongs into the container's state, so that Delete can remove them.
struct Cgroup {
  std::string path = {};  // absolute
  UniqueFd directory = {};
  std::vector<std::string> created = {};
  Placeholder placeholder = {};  // systemd: in its scope until the container is
};

// Makes the directories and enables controllers in the parents' cgroup.subtree_control. A cgroup
// that exists must be empty, thawed and of type "domain". Leaves nothing when it fails.
Result<Cgroup> MakeCgroup(const CgroupPlan& plan);
// Directories that MakeCgroup would make now: what a runtime that dies meanwhile may have made.
std::vector<std::string> MissingDirectories(const CgroupPlan& plan);
// The same for a cgroup that systemd has made: only controllers it does not know (hugetlb) are
// enabled in the parents.
Result<Cgroup> UseCgroup(const CgroupPlan& plan);
// Removes what MakeCgroup made, as far as it is empty.
void UndoMakeCgroup(const std::vector<std::string>& created) noexcept;

Status ApplyLimits(int cgroup_fd, std::span<const CgroupWrite> writes);

// Compiles the rules to one BPF_CGROUP_DEVICE program and makes it the only one of ours on the
// cgroup: attached first, then the older ones are detached, so that there is no moment without.
Status AttachDevices(int cgroup_fd, std::span<const oci::DeviceRule> rules);

// chown(2) of the directory and the files of /sys/kernel/cgroup/delegate, for a container with
// its own cgroup namespace and a writable cgroup mount (config-linux.md#cgroup-ownership).
Status DelegateCgroup(int cgroup_fd, uid_t owner);

// Opens `path`, or the cgroup `below` it ("a/b", made if missing: exec --cgroup).
Result<UniqueFd> OpenCgroup(const std::string& path, const std::string& below = {});

// The cgroup v2 of a process, below the mount.
Result<std::string> CgroupOfProcess(pid_t pid);

// Both return when the kernel says that it is done, or with an error after a bounded wait.
Status FreezeCgroup(const std::string& path);
Status ThawCgroup(const std::string& path);
Result<bool> IsFrozen(const std::string& path);  // asked for, and reached

// SIGKILL: cgroup.kill, which no fork escapes. Other signals: each process. A cgroup that is gone
// is success.
Status SignalCgroup(const std::string& path, int signal);

// rmdir(2) of the cgroup and all below; waits for dying processes (EBUSY) a bounded time. A
// missing one is success.
Status RemoveCgroup(const std::string& path);

// `linux.resources` of a running container: what is absent stays as it is. Validates all, and
// writes nothing. Device rules are replaced only when `resources.devices` is not empty.
Result<CgroupPlan> PlanUpdate(const std::string& path, const oci::Resources& resources,
                              bool ignore_missing_controllers);
// A write that fails leaves the earlier ones.
Status ApplyUpdate(const std::string& path, const CgroupPlan& update);

}  // namespace coracle::runtime
