// Watches memory.events of a container's cgroup: did the kernel's OOM killer act in it?
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"
#include "event_loop.h"

namespace coracle::shim {

class OomWatcher {
 public:
  // `on_oom` is called once, at the first kill. Without memory controller there is nothing to
  // watch, and that is no error.
  static Result<std::unique_ptr<OomWatcher>> Start(EventLoop& loop, const std::string& cgroup_path,
                                                   std::function<void()> on_oom);
  ~OomWatcher();

  // Looks now: true if there was a kill (and `on_oom` has been called).
  bool Check();

 private:
  OomWatcher(EventLoop& loop, std::string file, std::function<void()> on_oom)
      : loop_(loop), file_(std::move(file)), on_oom_(std::move(on_oom)) {}

  EventLoop& loop_;
  std::string file_;
  std::function<void()> on_oom_;
  UniqueFd inotify_;
  bool was_killed_ = false;
};

}  // namespace coracle::shim
