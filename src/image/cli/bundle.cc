// bundle, unbundle: from an image to what `coracle run` (or runc) takes.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "coracle/base/file.h"
#include "coracle/base/json.h"
#include "coracle/oci/spec.h"
#include "coracle/sys/mount.h"
#include "coracle/sys/path.h"
#include "image_user.h"
#include "layer_files.h"
#include "verbs.h"

namespace coracle::image::cli {
namespace {

constexpr std::size_t kMaxAccountFile = 10UL << 20;  // bytes

Result<std::string> Absolute(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return KernelError("realpath(3) path=" + path);
  std::string out = resolved;
  ::free(resolved);
  return out;
}

// "" when it is missing; only a small regular file is read.
Result<std::string> ReadImageFile(int root_fd, const std::string& path) {
  const auto fd = sys::OpenInRoot(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd.has_value()) return fd.error().errnum == ENOENT ? Result<std::string>("") : fd.error();
  struct stat status {};
  if (::fstat(fd->get(), &status) != 0) return KernelError("fstat(2) path=" + path);
  if (!S_ISREG(status.st_mode))
    return Error{Code::kInvalidConfig, 0, "image: " + path + " is not a regular file"};
  return ReadFd(fd->get(), "image: " + path, kMaxAccountFile);
}

void MergeEnvironment(const std::vector<std::string>& from, std::vector<std::string>& env) {
  for (const std::string& entry : from) {
    const auto equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) continue;  // never a value of ours (bare KEY)
    const std::string key = entry.substr(0, equals + 1);
    std::erase_if(env, [&](const std::string& old) { return old.starts_with(key); });
    env.push_back(entry);
  }
}

Result<oci::Spec> SpecFor(const Image& image, int tree_fd, const Arguments& arguments) {
  oci::Spec spec = oci::ExampleSpec();
  const oci::ImageConfig& config = image.config;
  spec.root->readonly = false;
  oci::Process& process = *spec.process;
  process.terminal = arguments.terminal;
  process.args = config.entrypoint;
  const auto& rest = arguments.command.empty() ? config.cmd : arguments.command;
  process.args.insert(process.args.end(), rest.begin(), rest.end());
  if (process.args.empty())
    return Error{Code::kInvalidConfig, 0,
                 "image has neither entrypoint nor command; give a COMMAND"};
  MergeEnvironment(config.env, process.env);
  if (!config.working_dir.empty()) {
    if (config.working_dir[0] != '/')
      return Error{Code::kInvalidConfig, 0,
                   "image: config.WorkingDir \"" + config.working_dir + "\": must be absolute"};
    process.cwd = config.working_dir;
  }
  process.user = TRY(ResolveImageUser(config.user, TRY(ReadImageFile(tree_fd, "/etc/passwd")),
                                      TRY(ReadImageFile(tree_fd, "/etc/group"))));
  return spec;
}

std::string SnapshotKey(const std::string& directory) { return "bundle:" + directory; }

// mount(2) takes one page of options: the layers are named relative to their common directory.
std::string ShortenLayers(std::string options, const std::string& layers_dir) {
  for (auto at = options.find(layers_dir); at != std::string::npos;
       at = options.find(layers_dir, at))
    options.erase(at, layers_dir.size());
  return options;
}

Status MountRootfs(ImageStore& store, const Image& image, const Arguments& arguments,
                   const std::string& directory) {
  const Snapshot snapshot = TRY(store.Prepare(SnapshotKey(directory), image.id));
  const std::string layers_dir = arguments.root + "/images/l/";
  if (::chdir(layers_dir.c_str()) != 0) return KernelError("chdir(2) path=" + layers_dir);
  for (const oci::Mount& mount : snapshot.mounts) {
    std::string data;
    for (const std::string& option : mount.options) data += (data.empty() ? "" : ",") + option;
    TRY(sys::mount({mount.source, directory + "/rootfs", mount.type, 0,
                    ShortenLayers(std::move(data), layers_dir)}));
  }
  return {};
}

Status FillBundle(ImageStore& store, const Arguments& arguments, const std::string& directory) {
  const Image image = TRY(store.Find(arguments.reference));
  const UniqueFd tree = TRY(store.OpenTree(image.id));
  const oci::Spec spec = TRY(SpecFor(image, tree.get(), arguments));
  const std::string rootfs = directory + "/rootfs";
  if (::mkdir(rootfs.c_str(), 0755) != 0) return KernelError("mkdir(2) path=" + rootfs);
  if (arguments.mount) {
    TRY(MountRootfs(store, image, arguments, directory));
  } else {
    const UniqueFd from = TRY(sys::OpenInRoot(tree.get(), ".", O_RDONLY | O_DIRECTORY));
    const UniqueFd to(::open(rootfs.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!to) return KernelError("open(2) path=" + rootfs);
    TRY(CopyTree(from.get(), to.get()));
  }
  // Last, so that a directory with a config.json is a whole bundle.
  return WriteFileAtomically(directory + "/config.json", PrintJson(oci::ToJson(spec), 2) + "\n",
                             0644);
}

Status RemoveRootfs(ImageStore& store, const std::string& directory) {
  const std::string key = SnapshotKey(directory);
  const std::vector<std::string> keys = TRY(store.SnapshotKeys());
  if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
    // EINVAL: not mounted, after a reboot.
    const Status unmounted = sys::umount2(directory + "/rootfs", UMOUNT_NOFOLLOW);
    if (!unmounted.has_value() && unmounted.error().errnum != EINVAL &&
        unmounted.error().errnum != ENOENT)
      return unmounted;
    TRY(store.RemoveSnapshot(key));
  }
  return RemoveTree(directory + "/rootfs");
}

}  // namespace

Status Bundle(ImageStore& store, const Arguments& arguments) {
  const bool made = ::mkdir(arguments.bundle.c_str(), 0755) == 0;
  if (!made && errno != EEXIST) return KernelError("mkdir(2) path=" + arguments.bundle);
  const std::string directory = TRY(Absolute(arguments.bundle));
  for (const char* name : {"/config.json", "/rootfs"}) {
    if (::access((directory + name).c_str(), F_OK) == 0)
      return Error{Code::kAlreadyExists, EEXIST, directory + name + ": exists already"};
  }
  const Status filled = FillBundle(store, arguments, directory);
  if (filled.has_value()) return {};
  (void)RemoveRootfs(store, directory);
  if (made) ::rmdir(directory.c_str());
  return Within("bundle " + directory, filled.error());
}

Status Unbundle(ImageStore& store, const Arguments& arguments) {
  const std::string directory = TRY(Absolute(arguments.bundle));
  TRY(RemoveRootfs(store, directory));
  const std::string config = directory + "/config.json";
  if (::unlink(config.c_str()) != 0 && errno != ENOENT)
    return KernelError("unlink(2) path=" + config);
  // Other files in the directory are not ours.
  if (::rmdir(directory.c_str()) != 0 && errno != ENOTEMPTY && errno != EBUSY)
    return KernelError("rmdir(2) path=" + directory);
  return {};
}

}  // namespace coracle::image::cli
