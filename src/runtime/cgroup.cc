#include "coracle/runtime/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <ranges>

#include "cgroup_devices.h"
#include "cgroup_limits.h"
#include "cgroup_manager.h"
#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "coracle/sys/mountinfo.h"
#include "spec_namespaces.h"

namespace coracle::runtime {
namespace {

// A parent may be removed by another container's delete between our mkdir(2) calls.
constexpr int kMakeAttempts = 8;

std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words;
  for (auto part : std::views::split(text, ' ')) {
    std::string word(part.begin(), part.end());
    while (!word.empty() && word.back() == '\n') word.pop_back();
    if (!word.empty()) words.push_back(std::move(word));
  }
  return words;
}

bool Contains(const std::vector<std::string>& words, const std::string& word) {
  return std::ranges::find(words, word) != words.end();
}

// The root of a cgroup namespace hides what is above; a mount made outside of ours shows it as
// "/..": then our own place below the mount is unknown, and its top is as good as any.
struct Found {
  std::string mount, root;
};

// Where it usually is, without reading mountinfo, which grows with the host's mounts. The root of
// the hierarchy, and nothing else, has inode 1; and only for the first cgroup namespace it is "/".
std::optional<Found> UsualMount() {
  constexpr ino_t kFirstNamespace = 0xeffffffb;  // PROC_CGROUP_INIT_INO of the kernel
  struct stat space {};
  if (::stat("/proc/self/ns/cgroup", &space) != 0 || space.st_ino != kFirstNamespace)
    return std::nullopt;
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    struct statfs filesystem {};
    struct stat root {};
    if (::statfs(path, &filesystem) != 0 || filesystem.f_type != CGROUP2_SUPER_MAGIC) continue;
    if (::stat(path, &root) != 0 || root.st_ino != 1) return std::nullopt;
    return Found{path, "/"};
  }
  return std::nullopt;
}

Result<Found> FindMount() {
  if (auto usual = UsualMount(); usual.has_value()) return *std::move(usual);
  const std::vector<sys::MountInfo> mounts = TRY(sys::ReadMountInfo());
  const sys::MountInfo* best = nullptr;
  for (const sys::MountInfo& mount : mounts) {
    if (mount.fstype != "cgroup2") continue;
    struct statfs status {};  // a mount on top of it may hide it
    if (::statfs(mount.mount_point.c_str(), &status) != 0 || status.f_type != CGROUP2_SUPER_MAGIC)
      continue;
    if (best == nullptr || mount.mount_point == "/sys/fs/cgroup") best = &mount;
  }
  if (best == nullptr)
    return Error{Code::kUnsupported, 0, "/proc/self/mountinfo: no cgroup2 mount on this host"};
  return Found{best->mount_point, best->root};
}

// "0::/user.slice/session-1.scope": the line of cgroup v2.
Result<std::string> CgroupBelow(const std::string& root, const std::string& process) {
  const std::string text = TRY(ReadFile("/proc/" + process + "/cgroup"));
  for (auto part : std::views::split(text, '\n')) {
    std::string line(part.begin(), part.end());
    if (!line.starts_with("0::/")) continue;
    std::string own = line.substr(3);
    if (root == "/") return own;
    if (own == root) return std::string("/");
    if (own.starts_with(root + "/")) return own.substr(root.size());
  }
  return std::string("/");
}

// "/a//./b/" -> "/a/b". ".." is refused: whoever writes it wants out.
Result<std::string> Normalise(const std::string& path, const std::string& pointer) {
  std::string clean;
  for (auto part : std::views::split(path, '/')) {
    const std::string name(part.begin(), part.end());
    if (name.empty() || name == ".") continue;
    if (name == ".." || name.find('\n') != std::string::npos)
      return Error{Code::kInvalidConfig, 0,
                   pointer + ": got \"" + path + "\"; allowed are names without \"..\""};
    clean += "/" + name;
  }
  return clean;
}

Result<std::string> PlacePath(const CgroupHost& host, const std::string& cgroups_path,
                              const std::string& id) {
  const std::string pointer = "config.json: /linux/cgroupsPath";
  const std::string path = TRY(Normalise(cgroups_path.empty() ? id : cgroups_path, pointer));
  if (path.empty())
    return Error{Code::kInvalidConfig, 0,
                 pointer + ": got \"" + cgroups_path + "\"; the root cgroup is not a container's"};
  if (cgroups_path.starts_with('/')) return path;
  return TRY(Normalise(host.own.substr(0, host.own.rfind('/')), pointer)) + path;
}

Result<std::vector<std::string>> ReadWords(const std::string& path) {
  return Words(TRY(ReadFile(path)));
}

Error NotEnabled(const std::string& path, const std::string& controller, Error cause) {
  if (cause.errnum == EBUSY) cause.message += "; this cgroup has processes of its own";
  if (cause.errnum == EOPNOTSUPP) cause.message += "; this cgroup is threaded";
  return Within("enable the cgroup controller \"" + controller + "\" below " + path,
                std::move(cause));
}

// All that the parent has, since accounting (stats) wants them too; only a controller that a limit
// needs may fail the container.
Status EnableControllers(const std::string& path, const std::vector<std::string>& available,
                         const std::vector<std::string>& needed) {
  const std::vector<std::string> enabled = TRY(ReadWords(path + "/cgroup.subtree_control"));
  std::string all;
  for (const std::string& controller : available) {
    if (!Contains(enabled, controller)) all += (all.empty() ? "+" : " +") + controller;
  }
  for (const std::string& controller : needed) {
    if (Contains(available, controller)) continue;
    return Error{Code::kUnsupported, 0,
                 path + "/cgroup.controllers: no controller \"" + controller +
                     "\", which linux.resources needs; it was not enabled in a parent"};
  }
  const std::string file = path + "/cgroup.subtree_control";
  if (all.empty() || WriteKernelFile(file, all).has_value()) return {};
  for (const std::string& controller : available) {
    if (Contains(enabled, controller)) continue;
    const Status status = WriteKernelFile(file, "+" + controller);
    if (!status.has_value() && Contains(needed, controller))
      return NotEnabled(path, controller, status.error());
  }
  return {};
}

// runc's rule: a leftover cgroup is taken over, one in use is not.
Status CheckFitness(const std::string& path, bool made_now) {
  std::string type = TRY(ReadFile(path + "/cgroup.type"));
  while (type.ends_with('\n')) type.pop_back();
  if (type != "domain")
    return Error{Code::kUnsupported, 0,
                 path + "/cgroup.type: \"" + type + "\"; a container needs \"domain\", so no " +
                     "cgroup above it may be threaded"};
  const std::size_t processes = made_now ? 0 : TRY(CgroupPids(path)).size();
  if (processes > 0)
    return Error{Code::kWrongState, 0,
                 "container's cgroup is not empty: " + std::to_string(processes) +
                     " process(es) found in " + path};
  const std::string events = TRY(ReadFile(path + "/cgroup.events"));
  if (events.find("frozen 1") != std::string::npos)
    return Error{Code::kWrongState, 0, "container's cgroup unexpectedly frozen: " + path};
  return {};
}

Status MakeDirectoriesOf(const CgroupPlan& plan, std::vector<std::string>& created) {
  std::string path = plan.mount;
  for (std::size_t slash = 0; slash < plan.path.size();) {
    // The first is the mount's, whose controllers the plan has read.
    const bool top = slash == 0 && !plan.available.empty();
    TRY(EnableControllers(path, top ? plan.available : TRY(ReadControllers(path)),
                          plan.controllers));
    const std::size_t end = std::min(plan.path.find('/', slash + 1), plan.path.size());
    path += plan.path.substr(slash, end - slash);
    if (::mkdir(path.c_str(), 0755) == 0)
      created.push_back(path);
    else if (errno != EEXIST)
      return KernelError("mkdir(2) path=" + path);
    slash = end;
  }
  return {};
}

Result<Cgroup> TryMakeCgroup(const CgroupPlan& plan, std::vector<std::string>& created) {
  TRY(MakeDirectoriesOf(plan, created));
  Cgroup cgroup{.path = plan.Directory()};
  TRY(CheckFitness(cgroup.path, !created.empty() && created.back() == cgroup.path));
  cgroup.directory = TRY(OpenCgroup(cgroup.path));
  cgroup.created = created;
  return cgroup;
}

}  // namespace

Result<std::vector<std::string>> ReadControllers(const std::string& path) {
  return ReadWords(path + "/cgroup.controllers");
}

Result<std::string> CgroupMount() { return TRY(FindMount()).mount; }

Result<std::string> CgroupOfProcess(pid_t pid) {
  return CgroupBelow(TRY(FindMount()).root, std::to_string(pid));
}

Result<CgroupHost> ReadCgroupHost() {
  const Found found = TRY(FindMount());
  CgroupHost host{.mount = found.mount};
  host.own = TRY(CgroupBelow(found.root, "self"));
  host.controllers = TRY(ReadControllers(host.mount));
  return host;
}

Result<CgroupPlan> PlanCgroup(const CgroupHost& host, const oci::Spec& spec, const std::string& id,
                              bool ignore_missing_controllers) {
  CgroupPlan plan{.mount = host.mount, .available = host.controllers};
  plan.path = TRY(PlacePath(host, spec.linux_.cgroups_path, id));
  plan.asked_for = !spec.linux_.cgroups_path.empty();
  TRY(PlanCgroupLimits(host, spec.linux_.resources, ignore_missing_controllers, plan));
  return plan;
}

Status PlanCgroupLimits(const CgroupHost& host, const oci::Resources& resources,
                        bool ignore_missing_controllers, CgroupPlan& plan) {
  LimitWrites writes = PlanLimits(resources, "/linux/resources");
  if (!writes.problems.empty()) return JsonProblems("config.json", writes.problems);
  for (std::vector<CgroupWrite>* list : {&writes.limits, &writes.last_limits}) {
    std::ranges::move(DropUnavailable(*list, host.controllers, host.mount),
                      std::back_inserter(plan.warnings));
    for (const CgroupWrite& write : *list) {
      std::string controller = ControllerOf(write.file);
      if (!controller.empty() && !Contains(plan.controllers, controller))
        plan.controllers.push_back(std::move(controller));
    }
  }
  if (!plan.warnings.empty() && !ignore_missing_controllers) {
    Error error = JsonProblems("config.json", plan.warnings);
    error.code = Code::kUnsupported;
    return error;
  }
  plan.limits = std::move(writes.limits);
  plan.last_limits = std::move(writes.last_limits);
  plan.asked_for = plan.asked_for || !plan.limits.empty() || !plan.last_limits.empty();
  plan.device_rules_given = resources.devices.size();
  plan.devices = WithDefaultDevices(resources.devices);
  return {};
}

Result<CgroupPlan> PlanWithoutCgroup(const oci::Spec& spec) {
  const LimitWrites writes = PlanLimits(spec.linux_.resources, "/linux/resources");
  if (!writes.problems.empty()) return JsonProblems("config.json", writes.problems);
  const auto is_cgroup = [](const oci::Mount& mount) {
    return mount.type == "cgroup" || mount.type == "cgroup2";
  };
  if (!FindNamespace(spec, "cgroup") && std::ranges::any_of(spec.mounts, is_cgroup))
    return Error{Code::kUnsupported, 0,
                 "config.json: /mounts: a cgroup mount needs a cgroup namespace, when the cgroup "
                 "manager is disabled"};
  CgroupPlan plan;
  for (const auto* list : {&writes.limits, &writes.last_limits}) {
    for (const CgroupWrite& write : *list) {
      const std::string warning = write.pointer + ": not applied, the cgroup manager is disabled";
      if (!write.text.starts_with("max") && !Contains(plan.warnings, warning))
        plan.warnings.push_back(warning);
    }
  }
  return plan;
}

Result<Cgroup> MakeCgroup(const CgroupPlan& plan) {
  if (plan.Directory().empty()) return Cgroup();
  for (int attempt = 1;; ++attempt) {
    std::vector<std::string> created;
    Result<Cgroup> cgroup = TryMakeCgroup(plan, created);
    if (cgroup.has_value()) return cgroup;
    UndoMakeCgroup(created);
    if (cgroup.error().errnum != ENOENT || attempt == kMakeAttempts) return cgroup;
  }
}

std::vector<std::string> MissingDirectories(const CgroupPlan& plan) {
  std::vector<std::string> missing;
  for (std::size_t end = 0; end < plan.path.size();) {
    end = std::min(plan.path.find('/', end + 1), plan.path.size());
    std::string path = plan.mount + plan.path.substr(0, end);
    if (::access(path.c_str(), F_OK) != 0) missing.push_back(std::move(path));
  }
  return missing;
}

Result<Cgroup> UseCgroup(const CgroupPlan& plan) {
  Cgroup cgroup{.path = plan.Directory()};
  TRY(MakeDirectoriesOf(plan, cgroup.created));
  cgroup.directory = TRY(OpenCgroup(cgroup.path));
  return cgroup;
}

void UndoMakeCgroup(const std::vector<std::string>& created) noexcept {
  for (const std::string& path : std::views::reverse(created)) ::rmdir(path.c_str());
}

Status ApplyLimits(int cgroup_fd, std::span<const CgroupWrite> writes) {
  for (const CgroupWrite& write : writes) {
    if (!write.unless.empty() && ::faccessat(cgroup_fd, write.unless.c_str(), F_OK, 0) == 0)
      continue;
    if (write.if_exists && ::faccessat(cgroup_fd, write.file.c_str(), F_OK, 0) != 0) continue;
    const Status status = WriteKernelFileAt(cgroup_fd, write.file, write.text);
    if (status.has_value()) continue;
    if (write.tolerated_errno != 0 && status.error().errnum == write.tolerated_errno) continue;
    return Within(write.pointer, status.error());
  }
  return {};
}

Status DelegateCgroup(int cgroup_fd, uid_t owner) {
  if (::fchown(cgroup_fd, owner, static_cast<gid_t>(-1)) != 0)
    return KernelError("fchown(2) cgroup uid=" + std::to_string(owner));
  const std::string list = TRY(ReadFile("/sys/kernel/cgroup/delegate"));
  for (auto part : std::views::split(list, '\n')) {
    const std::string file(part.begin(), part.end());
    if (file.empty()) continue;
    if (::fchownat(cgroup_fd, file.c_str(), owner, static_cast<gid_t>(-1), 0) != 0 &&
        errno != ENOENT)  // of a controller that is not enabled here
      return KernelError("fchownat(2) path=" + file + " uid=" + std::to_string(owner));
  }
  return {};
}

Result<UniqueFd> OpenCgroup(const std::string& path, const std::string& below) {
  const std::string full = path + TRY(Normalise(below, "cgroup"));
  for (std::size_t slash = path.size(); slash < full.size();) {
    const std::size_t end = std::min(full.find('/', slash + 1), full.size());
    if (::mkdir(full.substr(0, end).c_str(), 0755) != 0 && errno != EEXIST)
      return KernelError("mkdir(2) path=" + full.substr(0, end));
    slash = end;
  }
  UniqueFd fd(::open(full.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return KernelError("open(2) O_DIRECTORY path=" + full);
  return fd;
}

}  // namespace coracle::runtime
