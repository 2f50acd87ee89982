// Compiled filters on disk, so that a profile is compiled once and not for every container.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coracle/base/result.h"

namespace coracle::runtime {

struct CachedFilter {
  std::vector<sock_filter> instructions;
  unsigned flags = 0;  // SECCOMP_FILTER_FLAG_*
};

// `key` is everything the program depends on. It is kept whole in the file and compared, so that
// the hash in the file's name need not be a strong one. What is not ours, or not whole, is absent.
std::optional<CachedFilter> ReadCachedFilter(const std::string& directory, const std::string& key);
// Makes the directory (0700) when missing.
Status WriteCachedFilter(const std::string& directory, const std::string& key,
                         const CachedFilter& filter);

}  // namespace coracle::runtime
