#include "console.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "coracle/sys/path.h"
#include "coracle/sys/pty.h"
#include "coracle/sys/socket.h"

namespace coracle::runtime {
namespace {

constexpr char kPtmx[] = "dev/pts/ptmx";

// A container may have put anything there (CVE-2025-52565): only a ptmx of a devpts will do.
Status CheckPtmx(int fd) {
  struct stat status {};
  struct statfs filesystem {};
  if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &filesystem) != 0)
    return KernelError("fstat(2) path=/dev/pts/ptmx");
  if (filesystem.f_type == DEVPTS_SUPER_MAGIC && S_ISCHR(status.st_mode) &&
      status.st_rdev == makedev(5, 2))
    return {};
  return Error{Code::kInvalidConfig, ENOTTY, "/dev/pts/ptmx: not the ptmx of a devpts"};
}

// Looked at before it is opened, since another device would notice; and again, since it may have
// been exchanged meanwhile.
Result<UniqueFd> OpenPtmx(int root_fd) {
  const UniqueFd seen = TRY(sys::OpenInRoot(root_fd, kPtmx, O_PATH | O_NOFOLLOW));
  TRY(CheckPtmx(seen.get()));
  UniqueFd ptmx = TRY(sys::OpenInRoot(root_fd, kPtmx, O_RDWR | O_NOCTTY | O_NOFOLLOW));
  TRY(CheckPtmx(ptmx.get()));
  return ptmx;
}

}  // namespace

Result<UniqueFd> ConnectConsole(const std::string& path) {
  return sys::ConnectUnix(path, SOCK_STREAM);
}

Result<UniqueFd> OpenTerminal(int root_fd, int console_fd,
                              const std::optional<oci::ConsoleSize>& size) {
  sys::Pty pty = TRY(sys::OpenPty(TRY(OpenPtmx(root_fd))));
  if (size && (size->height != 0 || size->width != 0))
    TRY(sys::SetWindowSize(pty.slave.get(), size->height, size->width));
  // As the name callers read the master's path in the container; they need the descriptor only.
  TRY(sys::SendFds(console_fd, "/dev/ptmx", {pty.master.get()}));
  return std::move(pty.slave);
}

Status InstallStdio(const std::array<int, 3>& stdio) {
  if (stdio == std::array{0, 1, 2}) return {};
  std::array<UniqueFd, 3> above;
  for (std::size_t i = 0; i < stdio.size(); ++i) {
    above[i] = UniqueFd(::fcntl(stdio[i], F_DUPFD_CLOEXEC, 3));
    if (!above[i]) return KernelError("fcntl(2) F_DUPFD_CLOEXEC fd=" + std::to_string(stdio[i]));
  }
  for (std::size_t i = 0; i < stdio.size(); ++i)
    if (::dup2(above[i].get(), static_cast<int>(i)) < 0) return KernelError("dup2(2)");
  return {};
}

}  // namespace coracle::runtime
