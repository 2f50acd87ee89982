#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "cli.h"
#include "coracle/base/file.h"
#include "coracle/base/json.h"

namespace coracle::runtime::cli {
namespace {

// What a user without privileges may do: a user namespace with only that user in it, the host's
// network, and no file system that needs privileges on the host.
void MakeRootless(oci::Spec& spec) {
  std::erase_if(spec.linux_.namespaces,
                [](const oci::Namespace& ns) { return ns.type == "network"; });
  spec.linux_.namespaces.push_back({"user", ""});
  spec.linux_.uid_mappings = {{0, ::geteuid(), 1}};
  spec.linux_.gid_mappings = {{0, ::getegid(), 1}};
  spec.linux_.resources = {};
  for (oci::Mount& mount : spec.mounts) {
    std::erase(mount.options, "gid=5");  // the group is not mapped
    if (mount.destination == "/sys") {
      // All of it read-only: below it lie the host's cgroups, of which the user may own some.
      mount = {"/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "rro"}, {}, {}};
    }
  }
}

}  // namespace

Result<int> RunSpec(Context& /*context*/, const Words& words) {
  std::string bundle = ".";
  bool rootless = false;
  Arguments arguments("coracle spec", "Writes an example config.json, to start from.");
  arguments.Text("-b,--bundle", bundle, "directory to write it to (default: the current)");
  arguments.Flag("--rootless", rootless, "for a user without privileges");
  if (!TRY(arguments.Parse(words))) return 0;
  oci::Spec spec = oci::ExampleSpec();
  if (rootless) MakeRootless(spec);
  const std::string path = bundle + "/config.json";
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file && errno == EEXIST)
    return Error{Code::kAlreadyExists, 0, path + " exists: remove it first"};
  if (!file) return KernelError("open(2) path=" + path);
  TRY(WriteAll(file.get(), PrintJson(ToJson(spec), 2) + "\n", path));
  return 0;
}

}  // namespace coracle::runtime::cli
