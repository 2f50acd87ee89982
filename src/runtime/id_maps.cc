#include "id_maps.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

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

// Never looked up in PATH: what it names runs with more privileges than ours.
constexpr std::array<std::string_view, 3> kHelperDirectories = {"/usr/bin/", "/usr/local/bin/",
                                                                "/run/wrappers/bin/"};

Result<std::string> FindMapHelper(const std::string& program) {
  for (const std::string_view directory : kHelperDirectories) {
    std::string path = std::string(directory) + program;
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return Error{Code::kUnsupported, EPERM,
               program + "(1) is not in " + std::string(kHelperDirectories[0]) +
                   ": without it a user may map one id only, the own one (package uidmap)"};
}

// The set-uid helpers know from /etc/subuid and /etc/subgid what this user may map.
Status RunMapHelper(const std::string& program, pid_t pid,
                    const std::vector<oci::IdMapping>& mappings) {
  sys::Command command{.path = TRY(FindMapHelper(program)), .args = {program, std::to_string(pid)}};
  for (const oci::IdMapping& each : mappings)
    for (const std::uint32_t number : {each.container_id, each.host_id, each.size})
      command.args.push_back(std::to_string(number));
  const sys::CommandResult result = TRY(sys::RunCommand(command));
  if (result.exit_code == 0) return {};
  return Error{Code::kKernel, EPERM, result.error_output.substr(0, result.error_output.find('\n'))};
}

struct Map {
  const char* file;
  const char* helper;
  const std::vector<oci::IdMapping>& mappings;
};

Status WriteMap(const Map& map, pid_t pid) {
  Status written =
      WriteKernelFile("/proc/" + std::to_string(pid) + "/" + map.file, MapText(map.mappings));
  if (written.has_value() || written.error().errnum != EPERM || ::geteuid() == 0) return written;
  return RunMapHelper(map.helper, pid, map.mappings);
}

// A user's own group may be mapped only where none can be dropped any more: a group may also be
// there to take rights away.
Status DenySetgroups(const std::vector<oci::IdMapping>& gids, pid_t pid) {
  if (::geteuid() == 0 || !IsOwnIdOnly(gids, ::getegid())) return {};
  return WriteKernelFile("/proc/" + std::to_string(pid) + "/setgroups", "deny");
}

Status CheckMapped(const std::string& pointer, std::uint32_t id,
                   const std::vector<oci::IdMapping>& mappings, const char* list) {
  if (HostId(mappings, id)) return {};
  return Error{Code::kInvalidConfig, EINVAL,
               pointer + ": " + std::to_string(id) + " is not mapped in /linux/" + list};
}

Status CheckUser(const oci::Spec& spec) {
  if (!spec.process) return {};
  const oci::User& user = spec.process->user;
  const auto& gids = spec.linux_.gid_mappings;
  TRY(CheckMapped("/process/user/uid", user.uid, spec.linux_.uid_mappings, "uidMappings"));
  TRY(CheckMapped("/process/user/gid", user.gid, gids, "gidMappings"));
  for (std::size_t i = 0; i < user.additional_gids.size(); ++i)
    TRY(CheckMapped("/process/user/additionalGids/" + std::to_string(i), user.additional_gids[i],
                    gids, "gidMappings"));
  return {};
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
  TRY(CheckUser(spec));
  return IdMapsPlan{spec.linux_.uid_mappings, spec.linux_.gid_mappings};
}

Status WriteIdMaps(const IdMapsPlan& plan, pid_t pid) {
  TRY(WriteMap({"uid_map", "newuidmap", plan.uids}, pid));
  TRY(DenySetgroups(plan.gids, pid));
  return WriteMap({"gid_map", "newgidmap", plan.gids}, pid);
}

bool IsOwnIdOnly(const std::vector<oci::IdMapping>& mappings, std::uint32_t id) {
  return mappings.size() == 1 && mappings[0].size == 1 && mappings[0].host_id == id;
}

std::optional<std::uint32_t> HostId(const std::vector<oci::IdMapping>& mappings, std::uint32_t id) {
  for (const oci::IdMapping& each : mappings)
    if (id >= each.container_id && id - each.container_id < each.size)
      return each.host_id + (id - each.container_id);
  return std::nullopt;
}

}  // namespace coracle::runtime
