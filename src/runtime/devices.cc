#include "devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "coracle/sys/mount.h"
#include "coracle/sys/path.h"
#include "spec_namespaces.h"

namespace coracle::runtime {
namespace {

struct DefaultDevice {
  std::string_view path;
  unsigned major, minor;
};
constexpr std::array<DefaultDevice, 6> kDefaultDevices = {{
    {"/dev/null", 1, 3},
    {"/dev/zero", 1, 5},
    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8},
    {"/dev/urandom", 1, 9},
    {"/dev/tty", 5, 0},
}};

struct Link {
  std::string_view path;
  const char* target;
};
constexpr std::array<Link, 5> kLinks = {{
    {"/dev/fd", "/proc/self/fd"},
    {"/dev/stdin", "/proc/self/fd/0"},
    {"/dev/stdout", "/proc/self/fd/1"},
    {"/dev/stderr", "/proc/self/fd/2"},
    {"/dev/ptmx", "pts/ptmx"},
}};

constexpr mode_t kDefaultMode = 0666;

std::string Clean(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().string();
}

Error BadDevice(const std::string& pointer, const std::string& text) {
  return {Code::kInvalidConfig, EINVAL, pointer + text};
}

Result<mode_t> DeviceType(const oci::Device& device, const std::string& pointer) {
  if (device.type == "c" || device.type == "u") return mode_t{S_IFCHR};
  if (device.type == "b") return mode_t{S_IFBLK};
  if (device.type == "p") return mode_t{S_IFIFO};
  return BadDevice(pointer, "/type: \"" + device.type + "\" is not one of c, b, u, p");
}

Result<DeviceNode> PlanDevice(const oci::Device& device, const std::string& pointer) {
  DeviceNode node;
  if (!device.path.starts_with('/') || device.path.ends_with('/'))
    return BadDevice(pointer, "/path: \"" + device.path + "\" is not the absolute path of a file");
  node.path = Clean(device.path);
  const mode_t permissions = device.file_mode.value_or(kDefaultMode) & 07777U;
  node.mode = TRY(DeviceType(device, pointer)) | permissions;
  if (!S_ISFIFO(node.mode)) {
    if (!device.major.has_value() || !device.minor.has_value())
      return BadDevice(pointer, ": type " + device.type + " needs major and minor");
    if (*device.major < 0 || *device.major > 0xfff || *device.minor < 0 || *device.minor > 0xfffff)
      return BadDevice(pointer, ": major must be 0 to 4095, minor 0 to 1048575");
    node.device =
        makedev(static_cast<unsigned>(*device.major), static_cast<unsigned>(*device.minor));
  }
  node.uid = device.uid.value_or(0);
  node.gid = device.gid.value_or(0);
  return node;
}

Error Mismatch(const DeviceNode& node, const std::string& where) {
  return {Code::kInvalidConfig, EEXIST,
          where + node.path + ": exists, and is not the device that config.json describes"};
}

Status VerifyNode(const DeviceNode& node, const struct stat& status, const std::string& where) {
  const bool same_type = (status.st_mode & S_IFMT) == (node.mode & S_IFMT);
  if (same_type && (S_ISFIFO(node.mode) || status.st_rdev == node.device)) return {};
  return Mismatch(node, where);
}

// Binds the host's node of the same path: what a user namespace cannot make, it may still use.
Status BindNode(const DeviceNode& node, int root_fd, int devtmpfs) {
  const UniqueFd host = TRY(OpenHostDevice(node.path, devtmpfs));
  struct stat status {};
  if (::fstat(host.get(), &status) != 0) return KernelError("fstat(2) path=" + node.path);
  TRY(VerifyNode(node, status, "host "));
  const UniqueFd target = TRY(sys::MakeFileInRoot(root_fd, node.path));
  const UniqueFd tree = TRY(sys::CloneTree(host.get(), false));
  return sys::move_mount(tree.get(), target.get(), node.path);
}

// As written, whatever umask mknod(2) was under.
Status SetOwnerAndMode(const DeviceNode& node, int fd, const struct stat& status) {
  if (status.st_uid != node.uid || status.st_gid != node.gid) {
    if (::fchownat(fd, "", node.uid, node.gid, AT_EMPTY_PATH) != 0)
      return KernelError("fchownat(2) path=" + node.path);
  } else if ((status.st_mode & 07777U) == (node.mode & 07777U)) {
    return {};
  }
  // fchmod(2) refuses O_PATH descriptors; the path leads to the descriptor, not to a name.
  const std::string path = TRY(sys::VerifiedFdPath(fd));
  if (::chmod(path.c_str(), node.mode & 07777U) == 0) return {};
  return KernelError("chmod(2) path=" + node.path);
}

// The directory of one file after the other: nearly always /dev.
class Directories {
 public:
  explicit Directories(int root_fd) : root_fd_(root_fd) {}

  // Of `path`, which is clean; missing ones are made. Valid until the next call.
  Result<int> Of(const std::string& path) {
    std::string directory = path.substr(0, path.rfind('/'));
    if (!open_ || directory != path_)
      open_ = TRY(sys::OpenParentInRoot(root_fd_, path, true)).directory;
    path_ = std::move(directory);
    return open_.get();
  }

 private:
  int root_fd_;
  std::string path_;
  UniqueFd open_;
};

const char* NameIn(const std::string& path) { return path.c_str() + path.rfind('/') + 1; }

struct Roots {
  int container, devtmpfs;
};

Status CreateNode(const DevicesPlan& plan, const DeviceNode& node, const Roots& roots,
                  Directories& directories) {
  const bool may_bind = !S_ISFIFO(node.mode);
  if (may_bind && plan.bind_from_host) return BindNode(node, roots.container, roots.devtmpfs);
  const int directory = TRY(directories.Of(node.path));
  if (::mknodat(directory, NameIn(node.path), node.mode, node.device) != 0) {
    if (errno == EPERM && may_bind) return BindNode(node, roots.container, roots.devtmpfs);
    if (errno != EEXIST) return KernelError("mknodat(2) path=" + node.path);
  }
  const UniqueFd made(::openat(directory, NameIn(node.path), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!made) return KernelError("openat(2) O_PATH path=" + node.path);
  struct stat status {};
  if (::fstat(made.get(), &status) != 0) return KernelError("fstat(2) path=" + node.path);
  TRY(VerifyNode(node, status, ""));
  return SetOwnerAndMode(node, made.get(), status);
}

}  // namespace

Result<DevicesPlan> PlanDevices(const oci::Spec& spec) {
  DevicesPlan plan;
  plan.bind_from_host = FindNamespace(spec, "user") != nullptr;
  plan.console = spec.process.has_value() && spec.process->terminal;
  for (const oci::Mount& mount : spec.mounts) {
    const auto is_bind = [](const std::string& option) {
      return option == "bind" || option == "rbind";
    };
    if (Clean("/" + mount.destination + "/") == "/dev/")
      plan.create = mount.type != "bind" && std::ranges::none_of(mount.options, is_bind);
  }
  for (const DefaultDevice& device : kDefaultDevices)
    plan.nodes.push_back({.path = std::string(device.path),
                          .mode = S_IFCHR | kDefaultMode,
                          .device = makedev(device.major, device.minor)});
  for (std::size_t i = 0; i < spec.linux_.devices.size(); ++i) {
    DeviceNode node =
        TRY(PlanDevice(spec.linux_.devices[i], "/linux/devices/" + std::to_string(i)));
    if (node.path == "/dev/ptmx") continue;  // a link to the container's own devpts
    // A listed device takes the place of a default one.
    const auto same = std::ranges::find(plan.nodes, node.path, &DeviceNode::path);
    if (same == plan.nodes.end())
      plan.nodes.push_back(std::move(node));
    else
      *same = std::move(node);
  }
  return plan;
}

Result<UniqueFd> OpenHostDevice(const std::string& path, int devtmpfs) {
  constexpr std::string_view kDev = "/dev/";
  const bool in_devtmpfs = devtmpfs >= 0 && path.starts_with(kDev);
  UniqueFd node(::openat(in_devtmpfs ? devtmpfs : AT_FDCWD,
                         path.c_str() + (in_devtmpfs ? kDev.size() : 0), O_PATH | O_CLOEXEC));
  if (!node) return KernelError("openat(2) O_PATH path=" + path);
  return node;
}

Status CreateDevices(const DevicesPlan& plan, int root_fd, int devtmpfs) {
  if (!plan.create) return {};
  Directories directories(root_fd);
  for (const DeviceNode& node : plan.nodes)
    TRY(CreateNode(plan, node, {root_fd, devtmpfs}, directories));
  return {};
}

Status CreateDeviceLinks(const DevicesPlan& plan, int root_fd) {
  if (!plan.create) return {};
  Directories directories(root_fd);
  for (const Link& link : kLinks) {
    const std::string path(link.path);
    const int directory = TRY(directories.Of(path));
    // An image's own ptmx would be the host's; the other links may be there already.
    const bool is_ptmx = path == "/dev/ptmx";
    if (is_ptmx && ::unlinkat(directory, NameIn(path), 0) != 0 && errno != ENOENT)
      return KernelError("unlinkat(2) path=" + path);
    if (::symlinkat(link.target, directory, NameIn(path)) != 0 && errno != EEXIST)
      return KernelError("symlinkat(2) path=" + path);
  }
  return {};
}

Status AttachConsole(int root_fd, int slave_fd) {
  const sys::Parent parent = TRY(sys::OpenParentInRoot(root_fd, "/dev/console", true));
  const int directory = parent.directory.get();
  const UniqueFd made(::openat(
      directory, "console", O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0620));
  if (!made && errno != EEXIST) return KernelError("openat(2) O_CREAT|O_EXCL path=/dev/console");
  const UniqueFd target(::openat(directory, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!target) return KernelError("openat(2) O_PATH path=/dev/console");
  struct stat status {};
  if (::fstat(target.get(), &status) != 0) return KernelError("fstat(2) path=/dev/console");
  if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode))
    return Error{Code::kInvalidConfig, EEXIST,
                 "/dev/console: exists, and is neither a regular file nor a device"};
  const UniqueFd tree = TRY(sys::CloneTree(slave_fd, false));
  return sys::move_mount(tree.get(), target.get(), "/dev/console");
}

}  // namespace coracle::runtime
