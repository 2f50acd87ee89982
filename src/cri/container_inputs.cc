#include "container_inputs.h"

#include <sys/stat.h>

#include "coracle/base/file.h"
#include "coracle/sys/path.h"
#include "describe.h"
#include "security_context.h"
#include "text.h"

namespace coracle::cri {
namespace {

const v1::LinuxContainerSecurityContext& Security(const ContainerCreate& create) {
  return create.record.config->linux().security_context();
}

}  // namespace

Status LookIntoImage(ContainerCreate& create) {
  const UniqueFd root = TRY(create.daemon.images->OpenTree(create.image.id));
  const std::string passwd = TRY(ReadImageFile(root.get(), "/etc/passwd"));
  const std::string group = TRY(ReadImageFile(root.get(), "/etc/group"));
  create.input.identity =
      TRY(ResolveIdentity(Security(create), create.image.config.user, passwd, group));
  create.record.uid = create.input.identity.uid;
  create.record.gid = create.input.identity.gid;
  create.record.groups = create.input.identity.groups;
  return {};
}

Status MakeVolumeDirectories(const ContainerCreate& create) {
  if (create.image.config.volumes.empty()) return {};
  const UniqueFd root = TRY(sys::OpenRoot(create.paths.Bundle() + "/rootfs"));
  for (const std::string& volume : create.image.config.volumes) {
    const Result<UniqueFd> made = sys::MakeDirectoryInRoot(root.get(), volume);
    if (!made.has_value()) return Within("image: config.Volumes: " + ToUtf8(volume), made.error());
  }
  return {};
}

Status ResolveMounts(ContainerCreate& create) {
  const v1::ContainerConfig& config = *create.record.config;
  for (int i = 0; i < config.mounts_size(); ++i) {
    const v1::Mount& mount = config.mounts(i);
    struct stat st {};
    if (::stat(mount.host_path().c_str(), &st) != 0) {
      const std::string where = "/config/mounts/" + std::to_string(i) + "/host_path";
      if (errno != ENOENT) return KernelError(where + ": stat(2) " + mount.host_path());
      const Status made = MakeDirectories(mount.host_path());
      if (!made.has_value()) return Within(where, made.error());
    }
    create.input.mounts.push_back({.source = mount.host_path(), .mount = mount});
  }
  return {};
}

Status ResolveDevices(ContainerCreate& create) {
  const v1::ContainerConfig& config = *create.record.config;
  for (int i = 0; i < config.devices_size(); ++i) {
    const Result<oci::Device> device = ReadDevice(config.devices(i).host_path());
    if (!device.has_value()) {
      return Within("/config/devices/" + std::to_string(i) + "/host_path", device.error());
    }
    create.input.requested_devices.push_back(*device);
  }
  if (Security(create).privileged()) create.input.devices = TRY(ReadDevices("/dev"));
  return {};
}

Status ResolvePidNamespace(ContainerCreate& create) {
  const v1::NamespaceOption& modes = Security(create).namespace_options();
  if (modes.pid() == v1::POD && create.pod.pause_pid != 0) {
    create.input.pid_namespace = create.input.sandbox.PidNamespace();
  }
  if (modes.pid() != v1::TARGET) return {};
  const std::string where = std::string(kSecurityContext) +
                            "/namespace_options/target_id: container \"" +
                            ToUtf8(modes.target_id()) + "\"";
  const auto target = FindContainer(create.daemon, modes.target_id());
  if (!target.has_value()) return Error{Code::kInvalidConfig, 0, where + ": not found"};
  const ContainerRecord record = (*target)->Read();
  if (record.sandbox_id != create.pod.id) {
    return Error{Code::kInvalidConfig, 0, where + " is in another pod"};
  }
  if (record.State() != v1::CONTAINER_RUNNING || record.pid == 0) {
    return Error{Code::kWrongState, 0, where + " is not running"};
  }
  create.input.pid_namespace = "/proc/" + std::to_string(record.pid) + "/ns/pid";
  return {};
}

Status ReadSeccompProfile(ContainerCreate& create) {
  const SeccompChoice choice = TRY(ChooseSeccomp(Security(create)));
  if (choice.kind != SeccompChoice::Kind::kLocalhost) return {};
  const Result<std::string> text = ReadFile(choice.path);
  if (!text.has_value()) {
    return Within(std::string(kSecurityContext) + "/seccomp/localhost_ref", text.error());
  }
  create.input.localhost_seccomp = TRY(ParseSeccompProfile(*text, choice.path));
  return {};
}

}  // namespace coracle::cri
