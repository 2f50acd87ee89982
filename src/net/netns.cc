#include "coracle/net/netns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <system_error>
#include <thread>

#include "coracle/base/file.h"
#include "coracle/base/unique_fd.h"
#include "coracle/sys/mount.h"
#include "coracle/sys/namespaces.h"
#include "coracle/sys/netlink.h"

namespace coracle::net {
namespace {

// On a thread of its own, which ends afterwards: namespaces are a thread's, and no other thread
// of this program may find itself in a container's.
Status OnOwnThread(const std::function<Status()>& work) {
  Status status;
  try {
    std::thread([&] { status = work(); }).join();
  } catch (const std::system_error& error) {
    return KernelError("pthread_create(3)", error.code().value());
  }
  return status;
}

// A sysctl belongs to the namespace of the thread that writes it.
std::uint64_t NamespaceOfSysctl(const std::string& path) {
  constexpr std::array<std::string_view, 8> kIpc = {
      "kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
      "kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced"};
  if (path.starts_with("net/")) return CLONE_NEWNET;
  if (path.starts_with("fs/mqueue/") || std::ranges::find(kIpc, path) != kIpc.end())
    return CLONE_NEWIPC;
  return path == "kernel/domainname" ? CLONE_NEWUTS : 0;
}

// sysctl(8): the first separator, "." or "/", is the separator; the other one is part of a name
// ("net/ipv4/conf/eth0.100/forwarding").
Result<std::string> SysctlPath(const std::string& name) {
  std::string path = name;
  const auto first = path.find_first_of("./");
  if (first != std::string::npos && path[first] == '.') {
    for (char& letter : path) {
      if (letter == '.' || letter == '/') letter = letter == '.' ? '/' : '.';
    }
  }
  const std::string framed = "/" + path + "/";
  if (framed.find("/../") != std::string::npos || framed.find("//") != std::string::npos ||
      path.find('\0') != std::string::npos)
    return Error{Code::kInvalidConfig, 0,
                 "sysctl \"" + name + "\": not a name such as \"net.ipv4.ip_forward\""};
  return path;
}

struct Sysctl {
  std::string path, value;
};

Result<std::vector<Sysctl>> PlanSysctls(const PinRequest& request, std::uint64_t flags) {
  std::vector<Sysctl> sysctls;
  for (const auto& [name, value] : request.sysctls) {
    std::string path = TRY(SysctlPath(name));
    if ((NamespaceOfSysctl(path) & flags) == 0)
      return Error{Code::kInvalidConfig, 0,
                   "sysctl \"" + name +
                       "\": belongs to no namespace of this pod's own; allowed "
                       "are net.* with a pod network, kernel.msg*, kernel.sem, kernel.shm* and "
                       "fs.mqueue.* with a pod IPC namespace"};
    sysctls.push_back({"/proc/sys/" + path, value});
  }
  return sysctls;
}

struct Pin {
  std::uint64_t flag;
  std::string path;
};

std::vector<Pin> PlanPins(const PinRequest& request) {
  std::vector<Pin> pins = {{CLONE_NEWNET, request.network_path},
                           {CLONE_NEWIPC, request.ipc_path},
                           {CLONE_NEWUTS, request.uts_path}};
  std::erase_if(pins, [](const Pin& pin) { return pin.path.empty(); });
  return pins;
}

Status PinOne(const Pin& pin) {
  const UniqueFd fd(
      ::open(pin.path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444));
  if (!fd) {
    Error error = KernelError("open(2) O_CREAT|O_EXCL path=" + pin.path);
    if (error.errnum == EEXIST) error.code = Code::kAlreadyExists;
    return error;
  }
  const Status status =
      sys::mount({.source = "/proc/thread-self/ns/" + std::string(sys::NamespaceFile(pin.flag)),
                  .target = pin.path,
                  .fstype = "",
                  .flags = MS_BIND,
                  .data = ""});
  if (!status.has_value()) ::unlink(pin.path.c_str());
  return status;
}

Status PinAll(const std::vector<Pin>& pins) {
  for (std::size_t i = 0; i < pins.size(); ++i) {
    Status status = PinOne(pins[i]);
    if (status.has_value()) continue;
    for (std::size_t done = 0; done < i; ++done) (void)UnpinNamespace(pins[done].path);
    return status;
  }
  return {};
}

// Pins last: until then nothing but this thread holds the namespaces, so an error frees them.
Status MakeNamespaces(const PinRequest& request, std::uint64_t flags,
                      const std::vector<Sysctl>& sysctls) {
  TRY(sys::unshare(flags));
  if ((flags & CLONE_NEWNET) != 0) TRY(sys::SetLinkUp("lo"));
  if ((flags & CLONE_NEWUTS) != 0 && !request.hostname.empty() &&
      ::sethostname(request.hostname.data(), request.hostname.size()) != 0)
    return KernelError("sethostname(2) name=" + request.hostname);
  for (const Sysctl& sysctl : sysctls) TRY(WriteKernelFile(sysctl.path, sysctl.value));
  return PinAll(PlanPins(request));
}

}  // namespace

Status PinNamespaces(const PinRequest& request) {
  std::uint64_t flags = 0;
  for (const Pin& pin : PlanPins(request)) flags |= pin.flag;
  const std::vector<Sysctl> sysctls = TRY(PlanSysctls(request, flags));
  if (flags == 0) return {};
  return OnOwnThread([&] { return MakeNamespaces(request, flags, sysctls); });
}

Status UnpinNamespace(const std::string& path) {
  if (path.empty()) return {};
  const Status status = sys::umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW);
  if (!status.has_value() && status.error().errnum != EINVAL && status.error().errnum != ENOENT)
    return status;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return KernelError("unlink(2) path=" + path);
  return {};
}

Result<std::vector<InterfaceStats>> ReadInterfaceStats(const std::string& network_path) {
  const UniqueFd network = TRY(sys::OpenNamespace(network_path, CLONE_NEWNET));
  std::vector<sys::Link> links;
  TRY(OnOwnThread([&]() -> Status {
    TRY(sys::setns(network.get(), CLONE_NEWNET));
    links = TRY(sys::ReadLinks());
    return {};
  }));
  std::vector<InterfaceStats> stats;
  for (const sys::Link& link : links) {
    if (link.name == "lo") continue;
    stats.push_back({link.name, link.rx_bytes, link.rx_errors, link.tx_bytes, link.tx_errors});
  }
  return stats;
}

}  // namespace coracle::net
