#include "namespaces.h"

#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "coracle/base/file.h"
#include "coracle/sys/namespaces.h"

namespace coracle::runtime {
namespace {

Error Invalid(const std::string& pointer, const std::string& text) {
  return {Code::kInvalidConfig, EINVAL, pointer + ": " + text};
}

Status AddNamespace(const oci::Namespace& each, const std::string& pointer, NamespacesPlan& plan) {
  const std::uint64_t flag = sys::NamespaceFlag(each.type);
  if (flag == 0)
    return Invalid(pointer + "/type",
                   "unknown namespace \"" + each.type +
                       "\"; allowed: pid network mount ipc uts user cgroup time");
  if (plan.IsNew(flag) || plan.IsJoined(flag))
    return Invalid(pointer + "/type", "namespace \"" + each.type + "\" is there twice");
  if (!each.path.empty()) {
    if (each.path[0] != '/')
      return Invalid(pointer + "/path", "\"" + each.path + "\" is not an absolute path");
    plan.joined.push_back({flag, each.path, pointer + "/path"});
  } else if (flag == CLONE_NEWCGROUP) {
    plan.new_cgroup = true;
  } else if (flag == CLONE_NEWTIME) {
    plan.new_time = true;
  } else {
    plan.clone_flags |= flag;
  }
  return {};
}

bool IsOwn(int fd, std::uint64_t flag) {
  struct stat theirs {};
  struct stat ours {};
  const std::string own = "/proc/self/ns/" + std::string(sys::NamespaceFile(flag));
  return ::fstat(fd, &theirs) == 0 && ::stat(own.c_str(), &ours) == 0 &&
         theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
}

Status WriteTimeOffsets(const std::map<std::string, oci::TimeOffset>& offsets) {
  std::string text;
  for (const auto& [clock, offset] : offsets)
    text +=
        clock + " " + std::to_string(offset.secs) + " " + std::to_string(offset.nanosecs) + "\n";
  return text.empty() ? Status() : WriteKernelFile("/proc/self/timens_offsets", text);
}

void RejoinOwn(std::uint64_t flag) noexcept {
  const UniqueFd own(::open(("/proc/self/ns/" + std::string(sys::NamespaceFile(flag))).c_str(),
                            O_RDONLY | O_CLOEXEC));
  (void)sys::setns(own.get(), flag);
}

}  // namespace

bool NamespacesPlan::IsNew(std::uint64_t flag) const {
  if (flag == CLONE_NEWCGROUP) return new_cgroup;
  if (flag == CLONE_NEWTIME) return new_time;
  return (clone_flags & flag) != 0;
}

bool NamespacesPlan::IsJoined(std::uint64_t flag) const {
  return std::any_of(joined.begin(), joined.end(),
                     [flag](const NamespacePath& each) { return each.flag == flag; });
}

bool NamespacesPlan::NeedsJoiner() const {
  return IsJoined(CLONE_NEWUSER) || (IsNew(CLONE_NEWUSER) && !joined.empty());
}

Result<NamespacesPlan> PlanNamespaces(const oci::Spec& spec) {
  NamespacesPlan plan;
  const oci::Linux& config = spec.linux_;
  for (std::size_t i = 0; i < config.namespaces.size(); ++i)
    TRY(AddNamespace(config.namespaces[i], "/linux/namespaces/" + std::to_string(i), plan));
  plan.time_offsets = config.time_offsets;
  if (!plan.time_offsets.empty() && !plan.new_time)
    return Invalid("/linux/timeOffsets", "needs a new time namespace in /linux/namespaces");
  const bool uts = plan.IsNew(CLONE_NEWUTS) || plan.IsJoined(CLONE_NEWUTS);
  if (!uts && !spec.hostname.empty())
    return Invalid("/hostname", "needs a uts namespace in /linux/namespaces");
  if (!uts && !spec.domainname.empty())
    return Invalid("/domainname", "needs a uts namespace in /linux/namespaces");
  plan.hostname = spec.hostname;
  plan.domainname = spec.domainname;
  return plan;
}

Result<std::vector<OpenedNamespace>> OpenNamespaces(const NamespacesPlan& plan) {
  std::vector<OpenedNamespace> opened;
  for (const NamespacePath& each : plan.joined) {
    Result<UniqueFd> fd = sys::OpenNamespace(each.path, each.flag);
    if (!fd.has_value()) return Within(each.pointer, fd.error());
    if (!IsOwn(fd->get(), each.flag)) opened.push_back({each.flag, std::move(*fd)});
  }
  return opened;
}

Status JoinNamespaces(std::span<const OpenedNamespace> namespaces) {
  const OpenedNamespace* user = nullptr;
  std::vector<const OpenedNamespace*> later;
  for (const OpenedNamespace& each : namespaces)
    if (each.flag == CLONE_NEWUSER) user = &each;
  for (const OpenedNamespace& each : namespaces) {
    if (each.flag == CLONE_NEWUSER || each.flag == CLONE_NEWPID) continue;
    const Status joined = sys::setns(each.fd.get(), each.flag);
    if (joined.has_value()) continue;
    if (user == nullptr || joined.error().errnum != EPERM) return joined;
    later.push_back(&each);
  }
  if (user != nullptr) TRY(sys::setns(user->fd.get(), CLONE_NEWUSER));
  for (const OpenedNamespace* each : later) TRY(sys::setns(each->fd.get(), each->flag));
  return {};
}

Status PrepareForChildren(const NamespacesPlan& plan, std::span<const OpenedNamespace> namespaces) {
  for (const OpenedNamespace& each : namespaces)
    if (each.flag == CLONE_NEWPID) TRY(sys::setns(each.fd.get(), CLONE_NEWPID));
  if (!plan.new_time) return {};
  TRY(sys::unshare(CLONE_NEWTIME));
  return WriteTimeOffsets(plan.time_offsets);
}

void RestoreForChildren(const NamespacesPlan& plan) noexcept {
  if (plan.IsJoined(CLONE_NEWPID)) RejoinOwn(CLONE_NEWPID);
  if (plan.new_time) RejoinOwn(CLONE_NEWTIME);
}

Status BecomeRootOfUserNamespace() {
  // The kernel's calls, not libc's, which would tell other threads. setgroups(2) is refused where
  // /proc/self/setgroups says "deny": then no group can be dropped, and none was gained.
  if (::syscall(SYS_setgroups, 0, nullptr) != 0 && errno != EPERM)
    return KernelError("setgroups(2)");
  if (::syscall(SYS_setresgid, 0, 0, 0) != 0) return KernelError("setresgid(2) gid=0");
  if (::syscall(SYS_setresuid, 0, 0, 0) != 0) return KernelError("setresuid(2) uid=0");
  return {};
}

Status SetHostnames(const NamespacesPlan& plan) {
  if (!plan.hostname.empty() && ::sethostname(plan.hostname.data(), plan.hostname.size()) != 0)
    return KernelError("sethostname(2) name=" + plan.hostname);
  if (!plan.domainname.empty() &&
      ::setdomainname(plan.domainname.data(), plan.domainname.size()) != 0)
    return KernelError("setdomainname(2) name=" + plan.domainname);
  return {};
}

Status RaiseLoopback() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return KernelError("socket(2) AF_INET");
  ifreq request{};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    return KernelError("ioctl(2) SIOCSIFFLAGS lo up");
  return {};
}

}  // namespace coracle::runtime
