#include "store/name_index.h"

#include "grpc_status.h"

namespace coracle::cri {
namespace {
constexpr std::chrono::milliseconds kPoll{50};  // how soon a caller that gave up is noticed
}

Result<std::optional<std::string>> NameIndex::Reserve(const std::string& name,
                                                      const std::string& id, const Gone& gone) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto [entry, fresh] = entries_.try_emplace(name, Entry{.id = id});
    if (fresh) return std::optional<std::string>();
    if (entry->second.done) {
      if (entry->second.delivered) {
        return Error{Code::kAlreadyExists, 0,
                     "name " + name + " is taken by " + entry->second.id + ": remove that first"};
      }
      entry->second.delivered = true;
      return std::optional(entry->second.id);
    }
    if (gone && gone()) {
      return Error{Code::kWrongState, kCallerGone, "name " + name + " is still being made"};
    }
    changed_.wait_for(lock, kPoll);
  }
}

void NameIndex::Finish(const std::string& name, bool delivered) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return;
  entry->second.done = true;
  entry->second.delivered = delivered;
  changed_.notify_all();
}

void NameIndex::Release(const std::string& name, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(name);
  if (entry != entries_.end() && entry->second.id == id) entries_.erase(entry);
  changed_.notify_all();
}

void NameIndex::Add(const std::string& name, const std::string& id) {
  const std::lock_guard lock(mutex_);
  entries_[name] = {.id = id, .done = true, .delivered = true};
}

}  // namespace coracle::cri
