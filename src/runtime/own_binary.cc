#include "coracle/runtime/own_binary.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <ranges>
#include <string_view>
#include <vector>

#include "coracle/base/file.h"
#include "coracle/base/unique_fd.h"
#include "coracle/sys/mount.h"

namespace coracle::runtime {
namespace {

constexpr char kOwnFile[] = "/proc/self/exe";

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

// Where the shell, too, looks for `name`; as it is where it has a slash.
std::vector<std::string> DirectoriesOf(const std::string& name) {
  if (name.find('/') != std::string::npos) return {DirectoryOf(name)};
  const char* path = ::getenv("PATH");
  std::vector<std::string> directories;
  for (auto part : std::views::split(std::string_view(path == nullptr ? "" : path), ':'))
    directories.emplace_back(part.begin(), part.end());
  return directories;
}

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

// The read-only image that ProtectOwnBinary executes has no path; then the name that we were called
// by must do.
Result<std::string> FindBesideOurselves(const std::string& name) {
  std::array<char, 4096> link{};
  const ssize_t size = ::readlink(kOwnFile, link.data(), link.size());
  if (size < 0) return KernelError(std::string("readlink(2) path=") + kOwnFile);
  std::vector<std::string> places = {
      DirectoryOf(std::string(link.data(), static_cast<std::size_t>(size)))};
  const std::string arguments = TRY(ReadFile("/proc/self/cmdline"));
  std::ranges::move(DirectoriesOf(arguments.c_str()), std::back_inserter(places));
  for (const std::string& directory : places) {
    for (const char* below : {"/", "/../libexec/coracle/"}) {
      std::string program = directory + below + name;
      if (::access(program.c_str(), X_OK) == 0) return program;
    }
  }
  return Error{Code::kUnsupported, ENOENT,
               name + " is neither in " + places.front() + " nor in ../libexec/coracle of it"};
}

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
