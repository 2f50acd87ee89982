#include "coracle/runtime/own_binary.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string_view>

#include "coracle/base/unique_fd.h"
#include "coracle/sys/mount.h"

namespace coracle::runtime {
namespace {

constexpr char kOwnFile[] = "/proc/self/exe";

// Only these verbs enter a container. Nothing is parsed here: a word that looks like one will do.
bool MayEnterContainer(char** argv) {
  for (char** word = argv; *word != nullptr; ++word)
    for (const std::string_view verb : {"create", "run", "exec"})
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

}  // namespace

Status ProtectOwnBinary(char** argv, char** envp) {
  if (!MayEnterContainer(argv)) return {};
  const UniqueFd own(::open(kOwnFile, O_RDONLY | O_CLOEXEC));
  if (!own) return KernelError(std::string("open(2) path=") + kOwnFile);
  if (IsReadOnly(own.get()) || IsSealed(own.get())) return {};
  // Cloning needs CAP_SYS_ADMIN; without it no container can be entered either.
  const Result<UniqueFd> clone = sys::CloneTree(own.get(), false);
  if (!clone.has_value()) return clone.error().errnum == EPERM ? Status() : clone.error();
  TRY(sys::mount_setattr(clone->get(), {.set = MOUNT_ATTR_RDONLY}));
  ::syscall(SYS_execveat, clone->get(), "", argv, envp, AT_EMPTY_PATH);
  return KernelError("execveat(2) of a read-only clone of ourselves");
}

}  // namespace coracle::runtime
