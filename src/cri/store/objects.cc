#include "store/objects.h"

namespace coracle::cri {

std::uint64_t CpuRate::Add(const CpuSample& sample) {
  const std::lock_guard lock(mutex_);
  const std::int64_t elapsed_ns = sample.at_ns - before_.at_ns;
  if (before_.at_ns != 0 && sample.usage_ns >= before_.usage_ns) {
    constexpr std::int64_t kShortest_ns = 1'000'000;  // closer together says nothing
    if (elapsed_ns < kShortest_ns) return rate_;
    const double share =
        static_cast<double>(sample.usage_ns - before_.usage_ns) / static_cast<double>(elapsed_ns);
    rate_ = static_cast<std::uint64_t>(share * 1e9);
  }
  before_ = sample;
  return rate_;
}

}  // namespace coracle::cri
