#include "trace_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

namespace coracle::runtime {
namespace {

std::int64_t RealtimeMicroseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000;
}

// What is too long is cut off; the memory was born as zeros.
template <std::size_t kSize>
void Copy(std::string_view from, std::array<char, kSize>& to) {
  std::memcpy(to.data(), from.data(), std::min(from.size(), kSize - 1));
}

template <std::size_t kSize>
std::string_view View(const std::array<char, kSize>& text) {
  return {text.data(), ::strnlen(text.data(), kSize)};
}

}  // namespace

Result<TraceMemory> TraceMemory::Make() {
  UniqueFd fd(::memfd_create("coracle-trace", MFD_CLOEXEC));
  if (!fd) return KernelError("memfd_create(2)");
  if (::ftruncate(fd.get(), sizeof(Shared)) != 0) return KernelError("ftruncate(2) memfd");
  TraceMemory memory = TRY(Map(std::move(fd)));
  memory.shared_->monotonic_offset_us =
      static_cast<std::int64_t>(MonotonicMicroseconds()) - RealtimeMicroseconds();
  return memory;
}

Result<TraceMemory> TraceMemory::Open(UniqueFd fd) { return Map(std::move(fd)); }

Result<TraceMemory> TraceMemory::Map(UniqueFd fd) {
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return KernelError("mmap(2) trace");
  return TraceMemory(std::move(fd), static_cast<Shared*>(memory));
}

TraceMemory::TraceMemory(TraceMemory&& other) noexcept
    : fd_(std::move(other.fd_)), shared_(std::exchange(other.shared_, nullptr)) {}

TraceMemory::~TraceMemory() {
  if (shared_ != nullptr) ::munmap(shared_, sizeof(Shared));
}

void TraceMemory::Observe(StepObserver& observer) const {
  observer.now = [shared = shared_] {
    return static_cast<std::uint64_t>(RealtimeMicroseconds() + shared->monotonic_offset_us);
  };
  observer.begun = [shared = shared_](const StepTime& time) {
    const std::uint32_t count = shared->count.load();
    if (count >= kMaxEntries) return;
    Entry& entry = shared->entries[count];
    Copy(time.step, entry.step);
    Copy(time.spec, entry.spec);
    entry.start_us = time.start_us;
    shared->count.store(count + 1);
  };
  observer.done = [shared = shared_](const StepTime& time) {
    Entry& entry = shared->entries[shared->count.load() - 1];
    entry.failed = time.failed;
    entry.end_us.store(time.start_us + time.us);
  };
}

void TraceMemory::Report(std::string_view process, const StepObserver& observer) const {
  const std::uint32_t count = std::min<std::uint32_t>(shared_->count.load(), kMaxEntries);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Entry& entry = shared_->entries[i];
    const std::uint64_t end_us = entry.end_us.load();
    observer.done({.process = process,
                   .step = View(entry.step),
                   .spec = View(entry.spec),
                   .start_us = entry.start_us,
                   .us = (end_us != 0 ? end_us : observer.now()) - entry.start_us,
                   .failed = entry.failed});
  }
}

}  // namespace coracle::runtime
