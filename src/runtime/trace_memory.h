// When each step of the container process ran, for `--trace`: memory that this process shares with
// the runtime. A message could not tell it: behind the seccomp filter none may be sent, and the
// last step never returns.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "coracle/base/result.h"
#include "coracle/base/step.h"
#include "coracle/base/unique_fd.h"

namespace coracle::runtime {

class TraceMemory {
 public:
  // Inherited through clone3(2); or its descriptor is handed over, and opened there.
  static Result<TraceMemory> Make();
  static Result<TraceMemory> Open(UniqueFd fd);

  TraceMemory(TraceMemory&& other) noexcept;
  TraceMemory& operator=(TraceMemory&&) = delete;
  TraceMemory(const TraceMemory&) = delete;
  ~TraceMemory();

  [[nodiscard]] int fd() const { return fd_.get(); }

  // The container process: lets `observer` write here.
  void Observe(StepObserver& observer) const;
  // The runtime: tells `observer` what has been written, as steps of `process`. A step without an
  // end lasts until now.
  void Report(std::string_view process, const StepObserver& observer) const;

 private:
  struct Entry {
    std::array<char, 40> step, spec;
    std::uint64_t start_us;
    std::atomic<std::uint64_t> end_us;  // 0: not yet
    bool failed;
  };
  static constexpr std::size_t kMaxEntries = 96;  // more than both tables have
  struct Shared {
    // CLOCK_MONOTONIC minus CLOCK_REALTIME, as the runtime sees them: in a time namespace the
    // process sees another monotonic clock, but not another realtime clock.
    std::int64_t monotonic_offset_us;
    std::atomic<std::uint32_t> count;
    std::array<Entry, kMaxEntries> entries;
  };

  TraceMemory(UniqueFd fd, Shared* shared) : fd_(std::move(fd)), shared_(shared) {}
  static Result<TraceMemory> Map(UniqueFd fd);

  UniqueFd fd_;
  Shared* shared_;
};

}  // namespace coracle::runtime
