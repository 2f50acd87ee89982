#include "procfs.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "coracle/sys/mount.h"
#include "coracle/sys/path.h"

namespace coracle::runtime {

Result<UniqueFd> OpenProc(ProcPart part) {
  sys::FilesystemArgs args{.fstype = "proc",
                           .options = {},
                           .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
  if (part == ProcPart::kProcesses) args.options.emplace_back("subset", "pid");
  auto proc = sys::NewFilesystem(args);
  if (proc.has_value() || proc.error().errnum != EPERM) return proc;
  UniqueFd host = TRY(sys::OpenRoot("/proc"));
  struct statfs filesystem {};
  if (::fstatfs(host.get(), &filesystem) != 0) return KernelError("fstatfs(2) path=/proc");
  if (filesystem.f_type != PROC_SUPER_MAGIC)
    return Error{Code::kKernel, ENOTSUP, "/proc of the host is not a procfs"};
  return host;
}

Status WriteProc(int proc_fd, const std::string& path, std::string_view text) {
  open_how how{};
  how.flags = O_WRONLY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  const UniqueFd file(
      static_cast<int>(::syscall(SYS_openat2, proc_fd, path.c_str(), &how, sizeof how)));
  if (!file) {
    Error error = KernelError("openat2(2) path=/proc/" + path);
    if (error.errnum == ENOENT) error.code = Code::kNotFound;
    return error;
  }
  if (::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return KernelError("write(2) path=/proc/" + path + " text=" + std::string(text));
}

}  // namespace coracle::runtime
