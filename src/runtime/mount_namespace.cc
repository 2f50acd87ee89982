#include "mount_namespace.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <charconv>
#include <memory>

#include "coracle/base/file.h"
#include "coracle/sys/mount.h"
#include "coracle/sys/namespaces.h"
#include "coracle/sys/path.h"
#include "coracle/sys/process.h"

namespace coracle::runtime {
namespace {

constexpr pid_t kThreadd = 2;  // the parent of all kernel threads, in the first PID namespace
constexpr std::string_view kName = "kdevtmpfs";

pid_t ToPid(std::string_view text) {
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  return pid;
}

// A process can take the name, but not become the kernel's.
std::string KernelThreadName(pid_t pid) {
  const auto stat = sys::ReadProcessStat(pid);
  return stat.has_value() && stat->kernel_thread ? stat->name : "";
}

// It is among the first: the kernel starts it before any process of its own.
pid_t Search() {
  if (KernelThreadName(kThreadd).empty()) return 0;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return 0;
  while (const dirent* entry = ::readdir(proc.get())) {
    const pid_t pid = ToPid(static_cast<const char*>(entry->d_name));
    if (pid <= kThreadd) continue;
    const std::string name = KernelThreadName(pid);
    if (name == kName) return pid;
    if (name.empty()) return 0;
  }
  return 0;
}

// A prepared mount is a descriptor until it is attached.
rlim_t MostPrepared() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur / 4 : 0;
}

}  // namespace

bool NeedsHostMounts(const Plan& plan) {
  const NamespacesPlan& namespaces = plan.namespaces;
  if (!namespaces.IsNew(CLONE_NEWNS)) return true;
  // A namespace is owned by the user namespace that it is made in.
  if (namespaces.IsNew(CLONE_NEWUSER) || namespaces.IsJoined(CLONE_NEWUSER)) return true;
  if ((plan.rootfs.propagation & MS_SHARED) != 0) return true;
  // Those of the runtime, too: some enter the container's namespace, and mount there from the host.
  const oci::Hooks& hooks = plan.hooks;
  if (!hooks.prestart.empty() || !hooks.create_runtime.empty() || !hooks.create_container.empty())
    return true;
  return plan.mounts.mounts.size() > MostPrepared() || HasOneMadeInPlace(plan.mounts);
}

UniqueFd OpenKernelMountNamespace(const std::string& directory) {
  const std::string file = directory + "/@kdevtmpfs";
  pid_t pid = ToPid(ReadFile(file).value_or(""));
  if (pid == 0 || KernelThreadName(pid) != kName) {
    pid = Search();
    if (pid == 0) return {};
    (void)WriteFileAtomically(file, std::to_string(pid), 0600);  // or it is searched again
  }
  return UniqueFd(
      ::open(("/proc/" + std::to_string(pid) + "/ns/mnt").c_str(), O_RDONLY | O_CLOEXEC));
}

Result<UniqueFd> CopyMountNamespace(int source) {
  const UniqueFd host = TRY(sys::OpenRoot("/"));
  const Status entered = sys::setns(source, CLONE_NEWNS);
  const bool refused = !entered.has_value() && entered.error().errnum == EPERM;
  if (!refused) TRY(entered);
  TRY(sys::unshare(CLONE_NEWNS));
  if (refused) return UniqueFd();
  UniqueFd root = TRY(sys::OpenRoot("/"));
  TRY(sys::mount_setattr(root.get(), {.propagation = MS_PRIVATE, .recursive = true}));
  TRY(EnterRoot(host.get()));
  return root;
}

}  // namespace coracle::runtime
