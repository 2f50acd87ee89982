// How every verb begins and ends: the container's facts by its id, the id in front of an error.
#pragma once

#include <string>
#include <utility>

#include "coracle/runtime/container.h"
#include "state_file.h"

namespace coracle::runtime {

struct Loaded {
  StatePaths paths;
  StateFile file;
};
Result<Loaded> Load(const Runtime& runtime, const std::string& id);

// A descriptor of the container process itself, and of no later one with its number. "container
// not running" when it is gone.
Result<UniqueFd> OpenContainerProcess(const StateFile& file);

Error NotRunning();
// What has no process can be created, and not started.
Error NoProcess();
// What a container without a cgroup cannot have.
Error NoCgroup(const std::string& needs);

template <class T>
Result<T> Named(const char* verb, const std::string& id, Result<T> result) {
  if (!result.has_value())
    return Within(std::string(verb) + " container " + id, std::move(result).error());
  return result;
}

}  // namespace coracle::runtime
