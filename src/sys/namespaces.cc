#include "coracle/sys/namespaces.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace coracle::sys {
namespace {

struct NamespaceKind {
  std::uint64_t flag;
  std::string_view file, type, name;
};
constexpr std::array<NamespaceKind, 8> kKinds = {{
    {CLONE_NEWUSER, "user", "user", "NEWUSER"},
    {CLONE_NEWPID, "pid", "pid", "NEWPID"},
    {CLONE_NEWNET, "net", "network", "NEWNET"},
    {CLONE_NEWNS, "mnt", "mount", "NEWNS"},
    {CLONE_NEWIPC, "ipc", "ipc", "NEWIPC"},
    {CLONE_NEWUTS, "uts", "uts", "NEWUTS"},
    {CLONE_NEWCGROUP, "cgroup", "cgroup", "NEWCGROUP"},
    {CLONE_NEWTIME, "time", "time", "NEWTIME"},
}};

std::string FlagNames(std::uint64_t flags) {
  std::string names;
  const auto add = [&](std::string_view name) {
    if (!names.empty()) names += '|';
    names += "CLONE_";
    names += name;
  };
  for (const NamespaceKind& kind : kKinds)
    if ((flags & kind.flag) != 0) add(kind.name);
  if ((flags & CLONE_PARENT) != 0) add("PARENT");
  if ((flags & CLONE_INTO_CGROUP) != 0) add("INTO_CGROUP");
  return names.empty() ? "0" : names;
}

}  // namespace

std::uint64_t NamespaceFlag(std::string_view type) {
  for (const NamespaceKind& kind : kKinds)
    if (type == kind.type || type == kind.file) return kind.flag;
  return 0;
}

std::string_view NamespaceFile(std::uint64_t flag) {
  for (const NamespaceKind& kind : kKinds)
    if (flag == kind.flag) return kind.file;
  return "";
}

Result<pid_t> clone3(const CloneArgs& args) {
  clone_args raw{};
  raw.flags = args.flags;
  // With CLONE_PARENT the kernel takes our own exit_signal, and refuses another one (EINVAL).
  if ((args.flags & CLONE_PARENT) == 0) raw.exit_signal = SIGCHLD;
  if (args.cgroup_fd >= 0) {
    raw.flags |= CLONE_INTO_CGROUP;
    raw.cgroup = static_cast<std::uint64_t>(args.cgroup_fd);
  }
  if (args.pidfd != nullptr) {
    raw.flags |= CLONE_PIDFD;
    raw.pidfd = reinterpret_cast<std::uint64_t>(args.pidfd);
  }
  const long pid = ::syscall(SYS_clone3, &raw, sizeof raw);
  if (pid < 0) return KernelError("clone3(2) flags=" + FlagNames(raw.flags));
  return static_cast<pid_t>(pid);
}

Result<UniqueFd> OpenNamespace(const std::string& path, std::uint64_t flag) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) {
    Error error = KernelError("open(2) namespace path=" + path);
    if (error.errnum == ENOENT) error.code = Code::kNotFound;
    return error;
  }
  const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
  if (type < 0) return Error{Code::kInvalidConfig, errno, path + ": not a namespace file"};
  const auto actual = static_cast<std::uint64_t>(type);
  if (actual != flag)
    return Error{Code::kInvalidConfig, EINVAL,
                 path + ": is a namespace of type " + std::string(NamespaceFile(actual)) +
                     ", expected " + std::string(NamespaceFile(flag))};
  return fd;
}

Status setns(int fd, std::uint64_t flag) {
  if (::setns(fd, static_cast<int>(flag)) == 0) return {};
  return KernelError("setns(2) type=" + FlagNames(flag));
}

Status unshare(std::uint64_t flags) {
  if (::unshare(static_cast<int>(flags)) == 0) return {};
  return KernelError("unshare(2) flags=" + FlagNames(flags));
}

}  // namespace coracle::sys
