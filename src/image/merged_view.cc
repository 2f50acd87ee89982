#include "merged_view.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <thread>

#include "coracle/sys/mount.h"
#include "coracle/sys/namespaces.h"
#include "coracle/sys/path.h"

namespace coracle::image {
namespace {

// In a thread of its own, with its own mount namespace and working directory: the mount goes with
// the thread, and only the descriptor keeps its tree.
Result<UniqueFd> MountAndOpen(const std::string& layers_dir, const std::string& lowerdir) {
  TRY(sys::unshare(CLONE_FS | CLONE_NEWNS));
  TRY(sys::mount({"", "/", "", MS_REC | MS_PRIVATE, ""}));
  if (::chdir(layers_dir.c_str()) != 0) return KernelError("chdir(2) path=" + layers_dir);
  // On top of the directory of layers itself: the kernel has looked the layers up by then.
  TRY(sys::mount({"overlay", layers_dir, "overlay", MS_RDONLY, "lowerdir=" + lowerdir}));
  return sys::OpenRoot(layers_dir);
}

}  // namespace

Result<UniqueFd> OpenMergedView(const std::string& layers_dir,
                                const std::vector<std::string>& layers) {
  // overlayfs wants two lower directories at least: an empty one below them all is always there.
  std::string lowerdir = "empty";
  for (const std::string& layer : layers) lowerdir = layer + ":" + lowerdir;
  Result<UniqueFd> out = UniqueFd();
  std::thread([&] { out = MountAndOpen(layers_dir, lowerdir); }).join();
  return out;
}

}  // namespace coracle::image
