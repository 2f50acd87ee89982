#include "coracle/base/step.h"

#include <ctime>

namespace coracle {

std::uint64_t MonotonicMicroseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

Error AtStep(std::string_view name, std::string_view spec, Error error) {
  if (!error.step.empty()) return error;  // an inner step, or the other process, already said
  error.step = name;
  return Within(std::string(name) + " (" + std::string(spec) + ")", std::move(error));
}

}  // namespace coracle
