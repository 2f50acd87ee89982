// LD_PRELOAD for a crun before 1.9, which insists on raising RLIMIT_MEMLOCK, where that is not
// permitted: it is told that it worked. Nothing else changes.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" int setrlimit(__rlimit_resource_t resource, const struct rlimit* limit) noexcept {
  if (resource == RLIMIT_MEMLOCK) return 0;
  return static_cast<int>(::syscall(SYS_prlimit64, 0, resource, limit, nullptr));
}
extern "C" int setrlimit64(__rlimit_resource_t resource, const struct rlimit64* limit) noexcept {
  if (resource == RLIMIT_MEMLOCK) return 0;
  return static_cast<int>(::syscall(SYS_prlimit64, 0, resource, limit, nullptr));
}
