#include "mounts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "coracle/sys/mount.h"
#include "coracle/sys/namespaces.h"
#include "id_mapped_mount.h"
#include "id_maps.h"
#include "spec_namespaces.h"

namespace coracle::runtime {
namespace {

namespace fs = std::filesystem;

Error BadMount(const MountPlan& mount, const std::string& text) {
  return {Code::kInvalidConfig, EINVAL, mount.pointer + text};
}

// Only the lexical form: what is a link is resolved in the root, by the kernel.
std::string CleanDestination(const std::string& destination) {
  std::string clean = (fs::path("/") / destination).lexically_normal().string();
  while (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return clean;
}

// config.md#posix-platform-mounts: both mappings or none; without them the container's own.
Status PlanIdMappings(const oci::Spec& spec, const oci::Mount& mount, MountPlan& plan) {
  if (mount.uid_mappings.empty() != mount.gid_mappings.empty())
    return BadMount(plan, "/uidMappings: uidMappings and gidMappings go together, one is missing");
  if (!mount.uid_mappings.empty()) plan.options.idmap = true;  // older callers give no option
  if (!plan.options.idmap) return {};
  if (!plan.options.bind)
    return Error{Code::kUnsupported, ENOTSUP,
                 plan.pointer + "/options: idmap and ridmap are for bind mounts only"};
  plan.uid_mappings = mount.uid_mappings;
  plan.gid_mappings = mount.gid_mappings;
  if (!plan.uid_mappings.empty()) return {};
  const oci::Namespace* user = FindNamespace(spec, "user");
  if (user != nullptr && !user->path.empty()) {
    plan.user_namespace = user->path;
    return {};
  }
  plan.uid_mappings = spec.linux_.uid_mappings;
  plan.gid_mappings = spec.linux_.gid_mappings;
  if (user == nullptr || plan.uid_mappings.empty() || plan.gid_mappings.empty())
    return BadMount(plan,
                    "/options: idmap needs uidMappings and gidMappings, of the mount or of a new "
                    "user namespace");
  return {};
}

// In a new user namespace the kernel refuses these without a word that says which.
Status CheckOwner(const oci::Spec& spec, const MountPlan& plan) {
  if (spec.linux_.gid_mappings.empty() || (plan.type != "devpts" && plan.type != "tmpfs"))
    return {};
  for (const auto& [key, value] : plan.options.data) {
    const auto& mappings = key == "uid" ? spec.linux_.uid_mappings : spec.linux_.gid_mappings;
    std::uint32_t id = 0;
    const char* end = value.data() + value.size();
    if ((key != "uid" && key != "gid") || std::from_chars(value.data(), end, id).ptr != end)
      continue;
    if (!HostId(mappings, id))
      return BadMount(
          plan, "/options: " + key + "=" + value + " is not mapped in /linux/" + key + "Mappings");
  }
  return {};
}

Result<MountPlan> PlanMount(const oci::Spec& spec, const oci::Mount& mount,
                            const std::string& pointer, const std::string& bundle) {
  MountPlan plan;
  plan.pointer = pointer;
  plan.type = mount.type;
  plan.source = mount.source;
  plan.destination = CleanDestination(mount.destination);
  plan.options = TRY(ParseMountOptions(mount, pointer));
  if (mount.destination.empty()) return BadMount(plan, "/destination: must not be empty");
  if (plan.destination == "/")
    return BadMount(plan, "/destination: \"/\" is given by /root/path, not by a mount");
  if (plan.options.remount) return plan;
  if (plan.options.bind) {
    if (plan.source.empty()) return BadMount(plan, "/source: a bind mount needs one");
    plan.source = (fs::path(bundle) / plan.source).string();
  } else if (plan.type.empty()) {
    return BadMount(plan, "/type: needed unless options has \"bind\" or \"rbind\"");
  }
  if (plan.options.copy_up && plan.type != "tmpfs")
    return BadMount(plan, "/options: tmpcopyup is for type tmpfs only");
  TRY(CheckOwner(spec, plan));
  TRY(PlanIdMappings(spec, mount, plan));
  return plan;
}

Status MapIds(const MountPlan& mount, int tree_fd) {
  const UniqueFd userns = mount.user_namespace.empty()
                              ? TRY(NewUserNamespace(mount.uid_mappings, mount.gid_mappings))
                              : TRY(sys::OpenNamespace(mount.user_namespace, CLONE_NEWUSER));
  return sys::mount_setattr(tree_fd, {.set = MOUNT_ATTR_IDMAP,
                                      .userns_fd = userns.get(),
                                      .recursive = mount.options.recursive_idmap});
}

}  // namespace

Result<MountsPlan> PlanMounts(const oci::Spec& spec, const std::string& bundle) {
  MountsPlan plan;
  const std::string& propagation = spec.linux_.rootfs_propagation;
  // A bind mount is like the root: it follows the host, and the host does not follow it.
  if (propagation.ends_with("private") || propagation.ends_with("unbindable"))
    plan.propagation = MS_PRIVATE;
  else if (!propagation.ends_with("shared"))
    plan.propagation = MS_SLAVE;
  plan.label = spec.linux_.mount_label;
  if (!plan.label.empty() && ::access("/sys/fs/selinux/enforce", F_OK) != 0)
    return Error{Code::kUnsupported, ENOTSUP,
                 "/linux/mountLabel: SELinux is not enabled on this host"};
  plan.user_namespace = FindNamespace(spec, "user") != nullptr;
  plan.new_pid = HasNewNamespace(spec, "pid");
  plan.new_network = HasNewNamespace(spec, "network");
  plan.new_ipc = HasNewNamespace(spec, "ipc");
  // A joined one shows the container's cgroup as its root, too.
  plan.new_cgroup = FindNamespace(spec, "cgroup") != nullptr;
  for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
    plan.mounts.push_back(
        TRY(PlanMount(spec, spec.mounts[i], "/mounts/" + std::to_string(i), bundle)));
    const MountPlan& mount = plan.mounts.back();
    if (mount.destination == "/dev") plan.dev_is_bind = mount.options.bind;
  }
  return plan;
}

Status SetMountAttributes(const MountOptions& options, int mount_fd) {
  if ((options.set | options.clear) != 0)
    TRY(sys::mount_setattr(mount_fd, {.set = options.set, .clear = options.clear}));
  if ((options.recursive_set | options.recursive_clear) != 0)
    TRY(sys::mount_setattr(
        mount_fd,
        {.set = options.recursive_set, .clear = options.recursive_clear, .recursive = true}));
  for (const unsigned long flags : options.propagation)
    TRY(sys::mount_setattr(mount_fd, {.propagation = flags & ~static_cast<unsigned long>(MS_REC),
                                      .recursive = (flags & MS_REC) != 0}));
  return {};
}

Result<UniqueFd> OpenBindSource(const MountsPlan& plan, const MountPlan& mount) {
  const UniqueFd source(::open(mount.source.c_str(), O_PATH | O_CLOEXEC));
  if (!source) return KernelError("open(2) O_PATH bind source=" + mount.source);
  UniqueFd tree = TRY(sys::CloneTree(source.get(), mount.options.recursive_bind));
  if (mount.options.idmap) TRY(MapIds(mount, tree.get()));
  if (plan.propagation != 0)
    TRY(sys::mount_setattr(tree.get(), {.propagation = plan.propagation, .recursive = true}));
  TRY(SetMountAttributes(mount.options, tree.get()));
  return tree;
}

Result<std::vector<UniqueFd>> OpenMountSources(const MountsPlan& plan) {
  std::vector<UniqueFd> sources;
  for (const MountPlan& mount : plan.mounts) {
    sources.emplace_back();
    const bool needs_host = plan.user_namespace || mount.options.idmap;
    if (!mount.options.bind || mount.options.remount || !needs_host) continue;
    auto source = OpenBindSource(plan, mount);
    if (!source.has_value()) return Within(mount.pointer, std::move(source).error());
    sources.back() = *std::move(source);
  }
  return sources;
}

}  // namespace coracle::runtime
