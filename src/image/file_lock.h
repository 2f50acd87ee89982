// flock(2) on a file: between threads as between processes, gone with its holder.
#pragma once

#include <stop_token>
#include <string>

#include "coracle/base/result.h"
#include "coracle/base/unique_fd.h"

namespace coracle::image {

enum class LockMode : bool { kShared, kExclusive };

// Opens (makes) `path` and waits for the lock; a stop request ends the wait with ECANCELED.
Result<UniqueFd> LockFile(const std::string& path, LockMode mode, const std::stop_token& cancel);

// As above without waiting: an empty descriptor when somebody else holds it.
Result<UniqueFd> TryLockFile(const std::string& path, LockMode mode);

Error Cancelled();

}  // namespace coracle::image
