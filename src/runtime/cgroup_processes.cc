#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

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

Result<UniqueFd> OpenDirectory(int parent_fd, const std::string& name) {
  UniqueFd fd(::openat(parent_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return Gone(KernelError("openat(2) path=" + name));
  return fd;
}

Result<std::vector<std::string>> Children(int fd) {
  UniqueFd own = TRY(OpenDirectory(fd, "."));
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(own.get()), ::closedir);
  if (dir == nullptr) return KernelError("fdopendir(3)");
  (void)own.release();  // closedir(3) owns it now
  std::vector<std::string> children;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") children.push_back(name);
  }
  return children;
}

// `enter` sees every cgroup of the tree before those below it; `leave`, where there is one, gets
// the parent and the name of each but the top after those below it. A container may nest its
// cgroups deeper than any path or our stack is long: so neither path nor recursion, and one
// descriptor.
struct Visitor {
  std::function<Status(int fd)> enter;
  std::function<Status(int parent_fd, const std::string& name)> leave = {};
};

Status Walk(const std::string& path, const Visitor& visitor) {
  struct Level {
    std::string name;
    std::vector<std::string> children;
  };
  UniqueFd at = TRY(OpenDirectory(AT_FDCWD, path));
  TRY(visitor.enter(at.get()));
  std::vector<Level> levels;
  levels.push_back({path, TRY(Children(at.get()))});
  while (!levels.empty()) {
    Level& level = levels.back();
    if (!level.children.empty()) {
      std::string name = std::move(level.children.back());
      level.children.pop_back();
      Result<UniqueFd> child = OpenDirectory(at.get(), name);
      if (!child.has_value() && IsGone(child.error())) continue;
      at = TRY(std::move(child));
      TRY(visitor.enter(at.get()));
      levels.push_back({std::move(name), TRY(Children(at.get()))});
      continue;
    }
    if (levels.size() > 1) {
      at = TRY(OpenDirectory(at.get(), ".."));
      if (visitor.leave) TRY(visitor.leave(at.get(), level.name));
    }
    levels.pop_back();
  }
  return {};
}

// A threaded child has no cgroup.procs to read (EOPNOTSUPP): its processes are in the one above.
// Processes outside of our pid namespace read as 0.
Status AppendPids(int fd, std::vector<int>& pids) {
  const UniqueFd file(::openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC));
  if (!file) return Gone(KernelError("open(2) path=cgroup.procs"));
  const Result<std::string> text = ReadFd(file.get(), "cgroup.procs");
  if (!text.has_value() && text.error().errnum == EOPNOTSUPP) return {};
  if (!text.has_value()) return Gone(text.error());
  for (const char *at = text->data(), *end = at + text->size(); at < end; ++at) {
    int pid = 0;
    at = std::from_chars(at, end, pid).ptr;
    if (pid > 0) pids.push_back(pid);
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

// A pid may be another process's by the time we use it. So each is pinned by a pidfd first, and
// counts only if the cgroup still lists it then.
Status SignalEach(const std::string& path, int signal) {
  Result<std::vector<int>> pids = CgroupPids(path);
  std::vector<std::pair<int, UniqueFd>> pinned;
  if (pids.has_value()) {
    for (const int pid : *pids) {
      if (Result<UniqueFd> pidfd = sys::pidfd_open(pid); pidfd.has_value())
        pinned.emplace_back(pid, *std::move(pidfd));
    }
    pids = CgroupPids(path);
  }
  if (!pids.has_value()) return IsGone(pids.error()) ? Status() : Status(pids.error());
  for (const auto& [pid, pidfd] : pinned) {
    if (std::ranges::find(*pids, pid) == pids->end()) continue;
    const Status status = sys::pidfd_send_signal(pidfd.get(), signal);
    if (!status.has_value() && status.error().errnum != ESRCH) return status;
  }
  return {};
}

// A process that was killed keeps its cgroup busy until it is really dead, a moment later.
Status RemoveDirectory(int parent_fd, const std::string& name, Clock::time_point deadline) {
  useconds_t pause_us = 100;
  while (::unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) != 0) {
    if (errno == ENOENT) return {};
    if (errno != EBUSY || Clock::now() >= deadline) return KernelError("rmdir(2) path=" + name);
    ::usleep(pause_us);
    pause_us = std::min(pause_us * 2, 20000U);
  }
  return {};
}

}  // namespace

Result<std::vector<int>> CgroupPids(const std::string& path) {
  std::vector<int> pids;
  bool top = true;
  TRY(Walk(path, {.enter = [&](int fd) {
             const Status status = AppendPids(fd, pids);
             const bool gone_below = !top && !status.has_value() && IsGone(status.error());
             top = false;
             return gone_below ? Status() : status;
           }}));
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
  const Clock::time_point deadline = Clock::now() + kRemoveTimeout;
  const Status below = Walk(path, {.enter = [](int) { return Status(); },
                                   .leave =
                                       [&](int parent_fd, const std::string& name) {
                                         return RemoveDirectory(parent_fd, name, deadline);
                                       }});
  if (!below.has_value() && !IsGone(below.error())) return below;
  return RemoveDirectory(AT_FDCWD, path, deadline);
}

}  // namespace coracle::runtime
