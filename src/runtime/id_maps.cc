#include "id_maps.h"

#include <unistd.h>

#include <algorithm>

#include "coracle/base/file.h"
#include "coracle/sys/process.h"

namespace coracle::runtime {
namespace {

std::string MapText(const std::vector<oci::IdMapping>& mappings) {
  std::string text;
  for (const oci::IdMapping& each : mappings)
    text += std::to_string(each.container_id) + " " + std::to_string(each.host_id) + " " +
            std::to_string(each.size) + "\n";
  return text;
}

// The set-uid helpers know from /etc/subuid and /etc/subgid what this user may map.
Status RunMapHelper(const std::string& program, pid_t pid,
                    const std::vector<oci::IdMapping>& mappings) {
  sys::Command command{.path = "/usr/bin/" + program, .args = {program, std::to_string(pid)}};
  for (const oci::IdMapping& each : mappings)
    for (const std::uint32_t number : {each.container_id, each.host_id, each.size})
      command.args.push_back(std::to_string(number));
  const sys::CommandResult result = TRY(sys::RunCommand(command));
  if (result.exit_code == 0) return {};
  return Error{Code::kKernel, EPERM, program + "(1): " + result.error_output};
}

}  // namespace

Result<IdMapsPlan> PlanIdMaps(const oci::Spec& spec) {
  const auto& namespaces = spec.linux_.namespaces;
  const auto user = std::find_if(namespaces.begin(), namespaces.end(),
                                 [](const oci::Namespace& each) { return each.type == "user"; });
  const bool any = !spec.linux_.uid_mappings.empty() || !spec.linux_.gid_mappings.empty();
  if (user == namespaces.end()) {
    if (any)
      return Error{Code::kInvalidConfig, EINVAL,
                   "/linux/uidMappings: user namespace mappings need a user namespace"};
    return IdMapsPlan{};
  }
  if (!user->path.empty()) return IdMapsPlan{};  // its maps were written by who made it
  if (spec.linux_.uid_mappings.empty() || spec.linux_.gid_mappings.empty())
    return Error{Code::kInvalidConfig, EINVAL,
                 "/linux/uidMappings: a new user namespace needs uidMappings and gidMappings"};
  return IdMapsPlan{spec.linux_.uid_mappings, spec.linux_.gid_mappings};
}

Status WriteIdMaps(const IdMapsPlan& plan, pid_t pid) {
  if (::geteuid() != 0) {
    TRY(RunMapHelper("newuidmap", pid, plan.uids));
    return RunMapHelper("newgidmap", pid, plan.gids);
  }
  const std::string proc = "/proc/" + std::to_string(pid) + "/";
  TRY(WriteKernelFile(proc + "uid_map", MapText(plan.uids)));
  return WriteKernelFile(proc + "gid_map", MapText(plan.gids));
}

std::optional<std::uint32_t> HostId(const std::vector<oci::IdMapping>& mappings, std::uint32_t id) {
  for (const oci::IdMapping& each : mappings)
    if (id >= each.container_id && id - each.container_id < each.size)
      return each.host_id + (id - each.container_id);
  return std::nullopt;
}

}  // namespace coracle::runtime
