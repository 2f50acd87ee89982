#include <unistd.h>

#include <array>

#include "cli.h"

namespace coracle::runtime::cli {
namespace {

Result<std::string> OwnDirectory() {
  std::array<char, 4096> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  if (size < 0) return KernelError("readlink(2) path=/proc/self/exe");
  const std::string_view own(path.data(), static_cast<std::size_t>(size));
  return std::string(own.substr(0, own.rfind('/')));
}

}  // namespace

Error ExecImage(char** argv) {
  const auto directory = OwnDirectory();
  if (!directory.has_value()) return directory.error();
  // Beside us in a build folder, in libexec when installed.
  for (const char* place : {"/coracle-image", "/../libexec/coracle/coracle-image"}) {
    const std::string path = *directory + place;
    ::execv(path.c_str(), argv);
    if (errno != ENOENT) return KernelError("execve(2) path=" + path);
  }
  return {Code::kUnsupported, 0,
          "coracle-image is neither in " + *directory + " nor in ../libexec/coracle of it"};
}

}  // namespace coracle::runtime::cli
