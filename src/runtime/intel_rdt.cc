#include "intel_rdt.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ranges>
#include <string_view>

#include "coracle/base/file.h"
#include "coracle/sys/mountinfo.h"

namespace coracle::runtime {
namespace {

constexpr mode_t kGroupMode = 0755;

Result<std::string> FindMount() {
  for (const sys::MountInfo& mount : TRY(sys::ReadMountInfo()))
    if (mount.fstype == "resctrl" && mount.root == "/") return mount.mount_point;
  return Error{Code::kUnsupported, ENOTSUP,
               "/linux/intelRdt: no resctrl file system is mounted on this host"};
}

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (const auto part : std::views::split(text, separator)) {
    const std::string_view view(part.begin(), part.end());
    const auto first = view.find_first_not_of(" \t");
    if (first == view.npos) continue;
    parts.emplace_back(view.substr(first, view.find_last_not_of(" \t") - first + 1));
  }
  return parts;
}

// "0=0ff" and "0=ff" are the same.
std::string WithoutZeros(const std::string& assignment) {
  const auto equals = assignment.find('=');
  if (equals == std::string::npos) return assignment;
  auto value = assignment.find_first_not_of('0', equals + 1);
  if (value == std::string::npos) value = assignment.size();
  return assignment.substr(0, equals + 1) + assignment.substr(value);
}

// "L3:0=ff;1=f0": what is before the colon, and the assignments.
std::pair<std::string, std::vector<std::string>> ParseSchema(const std::string& line) {
  const auto colon = line.find(':');
  if (colon == std::string::npos) return {line, {}};
  std::vector<std::string> assignments = Split(std::string_view(line).substr(colon + 1), ';');
  for (std::string& each : assignments) each = WithoutZeros(each);
  return {line.substr(0, colon), std::move(assignments)};
}

// The kernel's own words about the last failure in resctrl.
Error WithLastStatus(int resctrl_fd, Error error) {
  const UniqueFd file(::openat(resctrl_fd, "info/last_cmd_status", O_RDONLY | O_CLOEXEC));
  if (!file) return error;
  Result<std::string> text = ReadFd(file.get(), "last_cmd_status");
  if (!text.has_value()) return error;
  while (text->ends_with('\n')) text->pop_back();
  if (!text->empty() && *text != "ok") error.message += "; last_cmd_status: " + *text;
  return error;
}

Status CompareSchemata(int resctrl_fd, const RdtPlan& plan) {
  if (plan.compared.empty()) return {};
  const std::string path = plan.group + "/schemata";
  const UniqueFd file(::openat(resctrl_fd, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return KernelError("open(2) path=" + path);
  const std::string existing = TRY(ReadFd(file.get(), path));
  for (const std::string& line : plan.compared)
    if (!HasSchema(existing, line))
      return Error{Code::kInvalidConfig, EEXIST,
                   "/linux/intelRdt/closID: the group \"" + plan.group +
                       "\" exists with another schema than \"" + line + "\""};
  return {};
}

Status MakeGroup(int resctrl_fd, const RdtPlan& plan, std::vector<std::string>& made) {
  if (plan.must_exist) {
    if (::faccessat(resctrl_fd, plan.group.c_str(), F_OK, 0) == 0) return {};
    return KernelError("/linux/intelRdt/closID: a group without a schema must exist before: path=" +
                       plan.group);
  }
  if (plan.group != "." && ::mkdirat(resctrl_fd, plan.group.c_str(), kGroupMode) == 0) {
    made.push_back(plan.group);
    return {};
  }
  if (plan.group != "." && errno != EEXIST)
    return WithLastStatus(resctrl_fd, KernelError("mkdirat(2) resctrl path=" + plan.group));
  return CompareSchemata(resctrl_fd, plan);
}

}  // namespace

bool HasSchema(const std::string& existing, const std::string& line) {
  const auto [name, wanted] = ParseSchema(line);
  for (const std::string& each : Split(existing, '\n')) {
    const auto [its_name, has] = ParseSchema(each);
    if (its_name == name)
      return std::ranges::all_of(wanted, [&has](const std::string& assignment) {
        return std::ranges::find(has, assignment) != has.end();
      });
  }
  return false;
}

RdtPlan PlanRdtAt(int resctrl_fd, const oci::IntelRdt& rdt, const std::string& id) {
  RdtPlan plan;
  plan.group = rdt.clos_id.empty() ? id : rdt.clos_id == "/" ? "." : rdt.clos_id;
  // It may have several lines: of code and data prioritisation, L3CODE and L3DATA.
  plan.schemata = Split(rdt.l3_cache_schema, '\n');
  if (!rdt.mem_bw_schema.empty()) plan.schemata.push_back(rdt.mem_bw_schema);
  if (!rdt.clos_id.empty()) plan.compared = plan.schemata;
  plan.schemata.insert(plan.schemata.end(), rdt.schemata.begin(), rdt.schemata.end());
  plan.must_exist = !rdt.clos_id.empty() && plan.schemata.empty();
  if (rdt.clos_id.empty() && ::faccessat(resctrl_fd, plan.group.c_str(), F_OK, 0) != 0)
    plan.deleted.push_back(plan.group);
  if (!rdt.enable_monitoring) return plan;
  plan.monitoring = plan.group + "/mon_groups/" + id;
  plan.deleted.push_back(plan.monitoring);
  return plan;
}

Result<std::optional<RdtPlan>> PlanRdt(const oci::Spec& spec, const std::string& id) {
  if (!spec.linux_.intel_rdt) return std::optional<RdtPlan>();
  const std::string mount = TRY(FindMount());
  RdtPlan plan = PlanRdtAt(TRY(OpenRdt(mount)).get(), *spec.linux_.intel_rdt, id);
  plan.mount = mount;
  return std::optional(std::move(plan));
}

Result<UniqueFd> OpenRdt(const std::string& mount) {
  UniqueFd fd(::open(mount.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return KernelError("open(2) resctrl path=" + mount);
  return fd;
}

Status MakeRdtGroups(int resctrl_fd, const RdtPlan& plan, std::vector<std::string>& made) {
  TRY(MakeGroup(resctrl_fd, plan, made));
  if (plan.monitoring.empty()) return {};
  if (::mkdirat(resctrl_fd, plan.monitoring.c_str(), kGroupMode) == 0)
    made.push_back(plan.monitoring);
  else if (errno != EEXIST)
    return WithLastStatus(resctrl_fd, KernelError("mkdirat(2) resctrl path=" + plan.monitoring));
  return {};
}

Status WriteRdtSchemata(int resctrl_fd, const std::string& group,
                        const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  Status written = WriteKernelFileAt(resctrl_fd, group + "/schemata", text);
  return written.has_value() ? written : Status(WithLastStatus(resctrl_fd, written.error()));
}

std::vector<std::string> RdtPlaces(const RdtPlan& plan) {
  std::vector<std::string> places = {plan.group};
  if (!plan.monitoring.empty()) places.push_back(plan.monitoring);
  return places;
}

Status JoinRdtGroups(int resctrl_fd, const std::vector<std::string>& places, pid_t pid) {
  for (const std::string& place : places) {
    const Status status = WriteKernelFileAt(resctrl_fd, place + "/tasks", std::to_string(pid));
    if (!status.has_value()) return WithLastStatus(resctrl_fd, status.error());
  }
  return {};
}

Status RemoveRdtGroups(int resctrl_fd, const std::vector<std::string>& groups) {
  Status status;
  for (const std::string& group : groups | std::views::reverse)
    if (::unlinkat(resctrl_fd, group.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
      status = KernelError("rmdir(2) resctrl path=" + group);
  return status;
}

}  // namespace coracle::runtime
