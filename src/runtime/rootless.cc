#include "rootless.h"

#include <stdlib.h>
#include <unistd.h>

#include <string_view>

#include "coracle/base/file.h"
#include "id_maps.h"
#include "spec_namespaces.h"

namespace coracle::runtime {
namespace {

Error Invalid(const std::string& text) { return {Code::kInvalidConfig, EPERM, text}; }

}  // namespace

bool InUserNamespace() {
  constexpr std::string_view kAllIds = "         0          0 4294967295\n";
  const Result<std::string> map = ReadFile("/proc/self/uid_map");
  return map.has_value() && *map != kAllIds;
}

bool IsRootless(const Runtime& runtime) {
  if (runtime.rootless != Rootless::kAuto) return runtime.rootless == Rootless::kYes;
  return ::geteuid() != 0 || InUserNamespace();
}

bool IsRefused(const Error& error) {
  return error.errnum == EPERM || error.errnum == EACCES || error.errnum == EROFS;
}

Status CheckUnprivileged(const oci::Spec& spec) {
  if (FindNamespace(spec, "user") == nullptr)
    return Invalid(
        "/linux/namespaces: without root a container needs a user namespace; add {\"type\": "
        "\"user\"}, uidMappings and gidMappings, as `coracle spec --rootless` does");
  if (spec.process && !spec.process->user.additional_gids.empty() &&
      IsOwnIdOnly(spec.linux_.gid_mappings, ::getegid()))
    return Invalid(
        "/process/user/additionalGids: where only one's own group is mapped, setgroups(2) is "
        "denied; map the groups of /etc/subgid, too, or leave them out");
  if (!spec.linux_.time_offsets.empty())
    return Invalid("/linux/timeOffsets: clocks can be set by root only");
  return {};
}

std::string DefaultRoot(Rootless rootless) {
  const std::string of_machine = Runtime().root;
  if (rootless == Rootless::kNo) return of_machine;
  const char* given = ::getenv("XDG_RUNTIME_DIR");
  const std::string directory = given != nullptr ? given : "";
  const uid_t uid = ::geteuid();
  if (uid != 0)
    return (directory.empty() ? "/run/user/" + std::to_string(uid) : directory) + "/coracle";
  if (directory.empty()) return of_machine;
  // A login as root has the variable, too. The root of a user's namespace keeps the user's name.
  const char* user = ::getenv("USER");
  const bool named_root = user != nullptr && std::string_view(user) == "root";
  if (rootless == Rootless::kAuto && (named_root || !InUserNamespace())) return of_machine;
  return directory + "/coracle";
}

}  // namespace coracle::runtime
