#include "spec_mounts.h"

#include <algorithm>
#include <ranges>

#include "text.h"

namespace coracle::cri {
namespace {

Error Bad(const std::string& where, const std::string& text) {
  return {Code::kInvalidConfig, 0, where + ": " + text};
}

oci::Mount MakeMount(std::string destination, std::string type, std::string source,
                     std::vector<std::string> options) {
  oci::Mount mount;
  mount.destination = std::move(destination);
  mount.type = std::move(type);
  mount.source = std::move(source);
  mount.options = std::move(options);
  return mount;
}

std::vector<oci::Mount> DefaultMounts(bool privileged) {
  std::vector<std::string> sysfs = {"nosuid", "noexec", "nodev", privileged ? "rw" : "ro"};
  std::vector<std::string> cgroup = {"nosuid", "noexec", "nodev", "relatime",
                                     privileged ? "rw" : "ro"};
  return {
      MakeMount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      MakeMount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      MakeMount("/dev/pts", "devpts", "devpts",
                {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      MakeMount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      MakeMount("/sys", "sysfs", "sysfs", std::move(sysfs)),
      MakeMount("/sys/fs/cgroup", "cgroup", "cgroup", std::move(cgroup)),
  };
}

std::vector<oci::Mount> PodMounts(const SpecInput& input) {
  const std::string access =
      input.config->linux().security_context().readonly_rootfs() ? "ro" : "rw";
  const std::vector<std::string> file = {"bind", "rprivate", "nosuid", "nodev", "noexec", access};
  const bool host_ipc = Namespaces(*input.pod).ipc() == v1::NODE;
  return {
      MakeMount("/etc/hostname", "bind", input.sandbox.Hostname(), file),
      MakeMount("/etc/hosts", "bind", input.sandbox.Hosts(), file),
      MakeMount("/etc/resolv.conf", "bind", input.sandbox.ResolvConf(), file),
      MakeMount("/dev/shm", "bind", host_ipc ? "/dev/shm" : input.sandbox.Shm(),
                {"rbind", "rprivate", "nosuid", "nodev", "noexec"}),
  };
}

oci::Mount Translate(const RequestMount& request) {
  std::vector<std::string> options = {"rbind"};
  switch (request.mount.propagation()) {
    case v1::PROPAGATION_HOST_TO_CONTAINER:
      options.emplace_back("rslave");
      break;
    case v1::PROPAGATION_BIDIRECTIONAL:
      options.emplace_back("rshared");
      break;
    default:
      options.emplace_back("rprivate");
  }
  if (request.mount.recursive_read_only()) options.emplace_back("rro");
  options.emplace_back(request.mount.readonly() ? "ro" : "rw");
  oci::Mount mount = MakeMount(CleanPath(request.mount.container_path()), "bind", request.source,
                               std::move(options));
  const auto ids = [](const auto& from, std::vector<oci::IdMapping>& to) {
    for (const v1::IDMapping& id : from) {
      to.push_back(
          {.container_id = id.container_id(), .host_id = id.host_id(), .size = id.length()});
    }
  };
  ids(request.mount.uidmappings(), mount.uid_mappings);
  ids(request.mount.gidmappings(), mount.gid_mappings);
  return mount;
}

// The last one of each place; what a directory hides must be mounted after it.
std::vector<oci::Mount> Order(std::vector<oci::Mount> mounts) {
  std::vector<oci::Mount> ordered;
  for (oci::Mount& mount : std::views::reverse(mounts)) {
    if (std::ranges::find(ordered, mount.destination, &oci::Mount::destination) == ordered.end()) {
      ordered.push_back(std::move(mount));
    }
  }
  std::ranges::reverse(ordered);
  std::ranges::stable_sort(ordered, {}, [](const oci::Mount& mount) {
    return std::ranges::count(mount.destination, '/');
  });
  return ordered;
}

}  // namespace

Status ValidateMount(const v1::Mount& mount, const std::string& where) {
  const std::string& path = mount.container_path();
  if (path.find('\0') != std::string::npos || path.size() > 4095) {
    return Bad(where + "/container_path", "expected at most 4095 bytes without NUL");
  }
  if (CleanPath("/" + path) == "/") {
    return Bad(where + "/container_path", "\"" + path + "\": expected a path below /");
  }
  if (mount.has_image() && !mount.image().image().empty()) {
    return Error{Code::kUnsupported, 0, where + "/image: images as volumes are not supported"};
  }
  if (!mount.host_path().starts_with('/')) {
    return Bad(where + "/host_path", "\"" + mount.host_path() + "\": expected an absolute path");
  }
  if (mount.propagation() < 0 || mount.propagation() > v1::PROPAGATION_BIDIRECTIONAL) {
    return Bad(where + "/propagation", "expected 0, 1 or 2");
  }
  if (!mount.recursive_read_only()) return {};
  if (!mount.readonly()) return Bad(where + "/recursive_read_only", "needs readonly");
  if (mount.propagation() != v1::PROPAGATION_PRIVATE) {
    return Bad(where + "/recursive_read_only", "needs PROPAGATION_PRIVATE");
  }
  return {};
}

Result<std::vector<oci::Mount>> MakeMounts(const SpecInput& input) {
  std::vector<oci::Mount> mounts =
      DefaultMounts(input.config->linux().security_context().privileged());
  std::ranges::move(PodMounts(input), std::back_inserter(mounts));
  for (std::size_t i = 0; i < input.mounts.size(); ++i) {
    TRY(ValidateMount(input.mounts[i].mount, "/config/mounts/" + std::to_string(i)));
    mounts.push_back(Translate(input.mounts[i]));
    if (!mounts.back().destination.starts_with('/')) {
      mounts.back().destination.insert(0, "/");  // runc's and containerd's rule: from the root
    }
  }
  return Order(std::move(mounts));
}

}  // namespace coracle::cri
