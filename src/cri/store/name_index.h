// Names of pods and containers: each belongs to one object. A second request for a name that is
// just being made waits for the first one's result and gets it too, so that a caller that timed
// out and asks again is not told that the name is taken.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "coracle/base/result.h"

namespace coracle::cri {

class NameIndex {
 public:
  using Gone = std::function<bool()>;  // has the caller given up?

  // Nothing: `name` is now `id`'s, and the caller makes the object, then calls Finish or Release.
  // An id: another request has made it, and its caller did not hear of it. kAlreadyExists: taken.
  Result<std::optional<std::string>> Reserve(const std::string& name, const std::string& id,
                                             const Gone& gone);
  // Made. `delivered`: the caller is still there to hear the id.
  void Finish(const std::string& name, bool delivered);
  // Failed, or removed. Only `id`'s own name.
  void Release(const std::string& name, const std::string& id);
  // At start: known from the database.
  void Add(const std::string& name, const std::string& id);

 private:
  struct Entry {
    std::string id;
    bool done = false;
    bool delivered = false;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;
};

}  // namespace coracle::cri
