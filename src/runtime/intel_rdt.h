// linux.intelRdt: config-linux.md#intelrdt, Documentation/filesystems/resctrl.rst. The container's
// processes belong to a control group (closID) and, with enableMonitoring, to a monitoring group
// below it. `resctrl_fd` is the directory where that file system is mounted.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "coracle/oci/spec.h"

namespace coracle::runtime {

struct RdtPlan {
  std::string mount;  // of resctrl, absolute
  std::string group;  // below it; ".": its root, for closID "/"
  bool must_exist = false;
  std::vector<std::string> compared;  // lines that a group which exists must have already
  std::vector<std::string> schemata;  // lines to write, in order
  std::string monitoring;             // "GROUP/mon_groups/ID", or empty
  std::vector<std::string> deleted;   // what `delete` removes, outermost first
};

// Looks for resctrl only if the spec asks for it; kUnsupported when it is not mounted.
Result<std::optional<RdtPlan>> PlanRdt(const oci::Spec& spec, const std::string& id);
RdtPlan PlanRdtAt(int resctrl_fd, const oci::IntelRdt& rdt, const std::string& id);

Result<UniqueFd> OpenRdt(const std::string& mount);

// The groups with their schemata. `made` says which directories were made, also when it fails.
Status MakeRdtGroups(int resctrl_fd, const RdtPlan& plan, std::vector<std::string>& made);
Status WriteRdtSchemata(int resctrl_fd, const std::string& group,
                        const std::vector<std::string>& lines);

// Where the processes go: the container's state remembers it for exec.
std::vector<std::string> RdtPlaces(const RdtPlan& plan);
Status JoinRdtGroups(int resctrl_fd, const std::vector<std::string>& places, pid_t pid);

// Innermost first; one that is gone is success.
Status RemoveRdtGroups(int resctrl_fd, const std::vector<std::string>& groups);

// Whether `existing`, the content of a schemata file, says of each cache what `line` says.
bool HasSchema(const std::string& existing, const std::string& line);

}  // namespace coracle::runtime
