#include "oom_watcher.h"

#include <sys/epoll.h>
#include <sys/inotify.h>

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "coracle/base/file.h"

namespace coracle::shim {
namespace {

// "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n..."
std::uint64_t OomKills(std::string_view events) {
  constexpr std::string_view kKey = "oom_kill ";
  while (!events.empty()) {
    const std::string_view line = events.substr(0, events.find('\n'));
    events.remove_prefix(std::min(events.size(), line.size() + 1));
    if (!line.starts_with(kKey)) continue;
    std::uint64_t count = 0;
    std::from_chars(line.data() + kKey.size(), line.data() + line.size(), count);
    return count;
  }
  return 0;
}

}  // namespace

Result<std::unique_ptr<OomWatcher>> OomWatcher::Start(EventLoop& loop,
                                                      const std::string& cgroup_path,
                                                      std::function<void()> on_oom) {
  std::unique_ptr<OomWatcher> watcher(
      new OomWatcher(loop, cgroup_path + "/memory.events", std::move(on_oom)));
  UniqueFd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify) return KernelError("inotify_init1(2)");
  if (inotify_add_watch(inotify.get(), watcher->file_.c_str(), IN_MODIFY) < 0) {
    if (errno == ENOENT) return watcher;
    return KernelError("inotify_add_watch(2) path=" + watcher->file_);
  }
  watcher->inotify_ = std::move(inotify);
  TRY(loop.Watch(watcher->inotify_.get(), EPOLLIN, [self = watcher.get()](std::uint32_t) {
    alignas(inotify_event) std::array<char, 4096> events;
    while (read(self->inotify_.get(), events.data(), events.size()) > 0) {
    }
    self->Check();
  }));
  return watcher;
}

OomWatcher::~OomWatcher() {
  if (inotify_) loop_.Forget(inotify_.get());
}

bool OomWatcher::Check() {
  if (was_killed_ || !inotify_) return was_killed_;
  const auto events = ReadFile(file_);
  if (!events || OomKills(*events) == 0) return false;
  was_killed_ = true;
  on_oom_();
  return true;
}

}  // namespace coracle::shim
