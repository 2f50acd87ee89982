#include "coracle/runtime/own_binary.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

#include "coracle/base/unique_fd.h"
#include "coracle/sys/mount.h"

namespace coracle::runtime {
namespace {

constexpr char kOwnFile[] = "/proc/self/exe";

// Nothing is parsed here: a word that looks like a verb will do.
bool MayEnterContainer(char** argv, std::initializer_list<std::string_view> verbs) {
  for (char** word = argv; *word != nullptr; ++word)
    for (const std::string_view verb : verbs)
      if (*word == verb) return true;
  return false;
}

bool IsSealed(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
}

bool IsReadOnly(int fd) {
  struct statvfs filesystem {};
  return ::fstatvfs(fd, &filesystem) == 0 && (filesystem.f_flag & ST_RDONLY) != 0;
}

UniqueFd MakeMemfd() {
  constexpr unsigned kExecutable = 0x0010;  // MFD_EXEC, since Linux 6.3
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(::memfd_create("coracle", kFlags | kExecutable));
  if (!fd && errno == EINVAL) fd = UniqueFd(::memfd_create("coracle", kFlags));
  return fd;
}

Result<UniqueFd> SealedCopy(int own) {
  struct stat status {};
  if (::fstat(own, &status) != 0) return KernelError(std::string("fstat(2) path=") + kOwnFile);
  UniqueFd copy = MakeMemfd();
  if (!copy) return KernelError("memfd_create(2)");
  for (off_t left = status.st_size; left > 0;) {
    const ssize_t copied = ::sendfile(copy.get(), own, nullptr, static_cast<std::size_t>(left));
    if (copied <= 0) return KernelError(std::string("sendfile(2) path=") + kOwnFile);
    left -= copied;
  }
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) return KernelError("fcntl(2) F_ADD_SEALS");
  return copy;
}

// A clone of the mount, read-only, costs nothing; but only who is privileged in the mount's
// namespace can make one.
Result<UniqueFd> ReadOnlyImage(int own) {
  Result<UniqueFd> clone = sys::CloneTree(own, false);
  if (!clone.has_value()) return SealedCopy(own);
  TRY(sys::mount_setattr(clone->get(), {.set = MOUNT_ATTR_RDONLY}));
  return clone;
}

}  // namespace

Status ProtectOwnBinary(char** argv, char** envp, std::initializer_list<std::string_view> verbs) {
  if (!MayEnterContainer(argv, verbs)) return {};
  const UniqueFd own(::open(kOwnFile, O_RDONLY | O_CLOEXEC));
  if (!own) return KernelError(std::string("open(2) path=") + kOwnFile);
  if (IsReadOnly(own.get()) || IsSealed(own.get())) return {};
  const UniqueFd image = TRY(ReadOnlyImage(own.get()));
  ::syscall(SYS_execveat, image.get(), "", argv, envp, AT_EMPTY_PATH);
  return KernelError("execveat(2) of a read-only image of ourselves");
}

}  // namespace coracle::runtime
