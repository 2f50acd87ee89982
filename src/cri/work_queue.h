// A few threads that do what must not be done where it was noticed: a shim's reader thread may not
// block, so exits are handled here.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace coracle::cri {

class WorkQueue {
 public:
  explicit WorkQueue(unsigned threads);
  ~WorkQueue() { Stop(); }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // After Stop: nothing happens.
  void Post(std::function<void()> work);
  // Finishes what is being done, drops the rest.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace coracle::cri
