#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>

#include "cgroup_manager.h"
#include "coracle/base/file.h"
#include "coracle/runtime/cgroup.h"
#include "coracle/sys/process.h"

namespace coracle::runtime {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kFreezeTimeout{10};
constexpr std::chrono::seconds kRemoveTimeout{5};

// ENOENT: no such directory; ENODEV: it went while its file was open.
bool IsGone(const Error& error) { return error.errnum == ENOENT || error.errnum == ENODEV; }

Error Gone(Error error) {
  if (IsGone(error)) error.code = Code::kNotFound;
  return error;
}

Result<std::vector<std::string>> Children(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  if (dir == nullptr) return Gone(KernelError("opendir(3) path=" + path));
  std::vector<std::string> children;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..")
      children.push_back(path + "/" + name);
  }
  return children;
}

// A threaded child has no cgroup.procs to read (EOPNOTSUPP): its processes are in the one above.
// Processes outside of our pid namespace read as 0.
Status AppendPids(const std::string& path, std::vector<int>& pids) {
  const Result<std::string> text = ReadFile(path + "/cgroup.procs");
  if (!text.has_value() && text.error().errnum != EOPNOTSUPP) return Gone(text.error());
  const std::string& lines = text.has_value() ? *text : std::string();
  for (const char *at = lines.data(), *end = at + lines.size(); at < end; ++at) {
    int pid = 0;
    at = std::from_chars(at, end, pid).ptr;
    if (pid > 0) pids.push_back(pid);
  }
  for (const std::string& child : TRY(Children(path))) {
    const Status status = AppendPids(child, pids);
    if (!status.has_value() && !IsGone(status.error())) return status;
  }
  return {};
}

// cgroup.events says what is; cgroup.freeze only what was asked for. poll(2) wakes on a change.
Status SetFrozen(const std::string& path, bool frozen) {
  const std::string wanted = frozen ? "frozen 1" : "frozen 0";
  const std::string events = path + "/cgroup.events";
  const UniqueFd fd(::open(events.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Gone(KernelError("open(2) path=" + events));
  if (Status status = WriteKernelFile(path + "/cgroup.freeze", frozen ? "1" : "0"); !status)
    return Gone(std::move(status).error());
  const Clock::time_point deadline = Clock::now() + kFreezeTimeout;
  for (;;) {
    if (::lseek(fd.get(), 0, SEEK_SET) != 0) return KernelError("lseek(2) path=" + events);
    if (TRY(ReadFd(fd.get(), events)).find(wanted) != std::string::npos) return {};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0)
      return Error{Code::kKernel, ETIMEDOUT, events + ": not \"" + wanted + "\" after 10 s"};
    pollfd poll{.fd = fd.get(), .events = POLLPRI, .revents = 0};
    if (::poll(&poll, 1, static_cast<int>(left)) < 0 && errno != EINTR)
      return KernelError("poll(2) path=" + events);
  }
}

Status SignalEach(const std::string& path, int signal) {
  std::vector<int> pids;
  if (const Status status = AppendPids(path, pids); !status.has_value())
    return IsGone(status.error()) ? Status() : status;
  for (const int pid : pids) {
    const Result<UniqueFd> pidfd = sys::pidfd_open(pid);
    if (!pidfd.has_value()) continue;  // gone since
    const Status status = sys::pidfd_send_signal(pidfd->get(), signal);
    if (!status.has_value() && status.error().errnum != ESRCH) return status;
  }
  return {};
}

// A process that was killed keeps its cgroup busy until it is really dead, a moment later.
Status RemoveDirectory(const std::string& path, Clock::time_point deadline) {
  useconds_t pause_us = 100;
  while (::rmdir(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    if (errno != EBUSY || Clock::now() >= deadline) return KernelError("rmdir(2) path=" + path);
    ::usleep(pause_us);
    pause_us = std::min(pause_us * 2, 20000U);
  }
  return {};
}

Status RemoveWithChildren(const std::string& path, Clock::time_point deadline) {
  const Result<std::vector<std::string>> children = Children(path);
  if (!children.has_value()) return IsGone(children.error()) ? Status() : Status(children.error());
  for (const std::string& child : *children) TRY(RemoveWithChildren(child, deadline));
  return RemoveDirectory(path, deadline);
}

}  // namespace

Result<std::vector<int>> CgroupPids(const std::string& path) {
  std::vector<int> pids;
  TRY(AppendPids(path, pids));
  return pids;
}

Status FreezeCgroup(const std::string& path) {
  Status status = SetFrozen(path, true);
  if (!status.has_value() && status.error().errnum == ETIMEDOUT)
    (void)WriteKernelFile(path + "/cgroup.freeze", "0");  // all or nothing
  return status;
}

Status ThawCgroup(const std::string& path) { return SetFrozen(path, false); }

Result<bool> IsFrozen(const std::string& path) {
  const Result<std::string> events = ReadFile(path + "/cgroup.events");
  if (!events.has_value()) return Gone(events.error());
  return events->find("frozen 1") != std::string::npos;
}

Status SignalCgroup(const std::string& path, int signal) {
  if (signal != SIGKILL) return SignalEach(path, signal);
  const Status status = WriteKernelFile(path + "/cgroup.kill", "1");
  if (status.has_value() || status.error().errnum == ENODEV) return {};
  // Gone, a threaded cgroup, or a kernel before 5.14.
  if (status.error().errnum == ENOENT || status.error().errnum == EOPNOTSUPP)
    return SignalEach(path, signal);
  return status;
}

Status RemoveCgroup(const std::string& path) {
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  return RemoveWithChildren(path, Clock::now() + kRemoveTimeout);
}

}  // namespace coracle::runtime
