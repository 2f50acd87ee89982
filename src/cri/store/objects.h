// Pods and containers in memory: what List and Status are served from. Reading one takes a lock for
// the time of a copy; nothing here is held while anything outside is done.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "coracle/base/result.h"
#include "coracle/shim/client.h"
#include "store/database.h"
#include "store/records.h"

namespace coracle::cri {

using SteadyTime = std::chrono::steady_clock::time_point;

// A record that changes, and those who wait for it to.
template <class Record>
class Object {
 public:
  explicit Object(Record record) : id(record.id), record_(std::move(record)) {}

  const std::string id;

  [[nodiscard]] Record Read() const {
    const std::lock_guard lock(mutex_);
    return record_;
  }
  // Changes the record on disk and in memory. Changes of one object take turns; readers do not wait
  // for the disk. What happened is true whether or not the disk took it: memory changes anyway.
  Status Change(Database& database, const std::function<void(Record&)>& change) {
    const std::lock_guard turn(turn_);
    Record next = Read();
    change(next);
    Status written = database.Put(next);
    {
      const std::lock_guard lock(mutex_);
      record_ = std::move(next);
    }
    changed_.notify_all();
    return written;
  }
  // False: the deadline passed first.
  bool WaitUntil(SteadyTime deadline, const std::function<bool(const Record&)>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [&] { return condition(record_); });
  }

  // Who changes the object's life takes this first, and looks whether it is removed by now.
  // Shared: making a container in a pod. Never taken by List, Status or an exit.
  std::shared_timed_mutex lifecycle;
  std::atomic<bool> removed = false;

 private:
  mutable std::mutex mutex_;
  std::mutex turn_;
  std::condition_variable changed_;
  Record record_;
};

// The connection to a shim, if there is one now.
class ShimSlot {
 public:
  [[nodiscard]] std::shared_ptr<shim::Client> Get() const {
    const std::lock_guard lock(mutex_);
    return client_;
  }
  void Set(std::shared_ptr<shim::Client> client) {
    const std::lock_guard lock(mutex_);
    client_ = std::move(client);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<shim::Client> client_;
};

struct CpuSample {
  std::int64_t at_ns = 0;
  std::uint64_t usage_ns = 0;
};

// Rates need two measurements.
class CpuRate {
 public:
  // Nanocores since the sample before, 0 at the first.
  std::uint64_t Add(const CpuSample& sample);

 private:
  std::mutex mutex_;
  CpuSample before_;
  std::uint64_t rate_ = 0;
};

class Sandbox : public Object<SandboxRecord> {
 public:
  using Object::Object;
  ShimSlot pause;
  CpuRate cpu_rate;
};

class Container : public Object<ContainerRecord> {
 public:
  using Object::Object;
  ShimSlot shim;
  CpuRate cpu_rate;
  // Start, end and removal are told of in this order, however soon one follows the other: held from
  // the change to its event.
  std::mutex telling;
  std::mutex clean_up;                                           // one at a time ends the shim
  bool cleaned_up = false;                                       // under `clean_up`
  std::atomic<std::uint64_t> layer_bytes = 0, layer_inodes = 0;  // of the writable layer
  std::atomic<std::int64_t> layer_measured_at_ns = 0;
  std::atomic<bool> layer_measuring = false;
};

// Objects by id.
template <class T>
class Store {
 public:
  void Add(std::shared_ptr<T> object) {
    const std::unique_lock lock(mutex_);
    objects_[object->id] = std::move(object);
  }
  void Remove(const std::string& id) {
    const std::unique_lock lock(mutex_);
    objects_.erase(id);
  }
  // By id or by the beginning of one, if only one begins so; null otherwise.
  [[nodiscard]] std::shared_ptr<T> Find(const std::string& prefix) const {
    const std::shared_lock lock(mutex_);
    if (prefix.empty()) return nullptr;
    const auto found = objects_.lower_bound(prefix);
    if (found == objects_.end() || !found->first.starts_with(prefix)) return nullptr;
    const auto next = std::next(found);
    const bool ambiguous =
        found->first != prefix && next != objects_.end() && next->first.starts_with(prefix);
    return ambiguous ? nullptr : found->second;
  }
  [[nodiscard]] std::vector<std::shared_ptr<T>> List() const {
    const std::shared_lock lock(mutex_);
    std::vector<std::shared_ptr<T>> list;
    list.reserve(objects_.size());
    for (const auto& [id, object] : objects_) list.push_back(object);
    return list;
  }

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::shared_ptr<T>> objects_;
};

}  // namespace coracle::cri
