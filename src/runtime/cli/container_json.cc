#include "container_json.h"

#include "coracle/base/file.h"
#include "coracle/base/json.h"

namespace coracle::runtime::cli {
namespace {

// getpwuid(3) would load the modules of nsswitch.conf, which a static program cannot.
std::string UserName(uid_t uid) {
  const auto passwd = ReadFile("/etc/passwd");
  std::string_view rest = passwd.has_value() ? std::string_view(*passwd) : "";
  const std::string wanted = std::to_string(uid);
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto name_end = line.find(':');
    const auto password_end = name_end == line.npos ? line.npos : line.find(':', name_end + 1);
    if (password_end == line.npos) continue;
    const auto field = line.substr(password_end + 1);
    if (field.substr(0, field.find(':')) == wanted) return std::string(line.substr(0, name_end));
  }
  return "#" + wanted;
}

}  // namespace

Result<Json> DescribeContainer(const Runtime& runtime, const oci::State& state) {
  const Created created = TRY(CreatedAt(runtime, state.id));
  Json json = ToJson(state);
  json["created"] = Rfc3339(created.at_unix_ns, true);
  json["owner"] = UserName(created.owner_uid);
  return json;
}

}  // namespace coracle::runtime::cli
