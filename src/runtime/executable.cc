#include "executable.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

#include "coracle/base/file.h"
#include "coracle/sys/path.h"

namespace coracle::runtime {
namespace {

constexpr std::size_t kPasswdLimit = 1UL << 20;             // bytes
constexpr std::string_view kDefaultPath = "/bin:/usr/bin";  // of execvp(3)

// The part before the separator; `rest` continues after it.
std::string_view NextField(std::string_view& rest, char separator) {
  const std::string_view field = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(field.size() + 1, rest.size()));
  return field;
}

// name:password:UID:GID:comment:home:shell. Empty: no such user, or no usable home.
std::string HomeOf(std::string_view passwd, uid_t uid) {
  while (!passwd.empty()) {
    std::string_view line = NextField(passwd, '\n');
    NextField(line, ':');
    NextField(line, ':');
    const std::string_view id = NextField(line, ':');
    uid_t value = 0;
    const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), value);
    if (id.empty() || error != std::errc() || end != id.data() + id.size() || value != uid)
      continue;
    NextField(line, ':');
    NextField(line, ':');
    const std::string_view home = NextField(line, ':');
    return home.starts_with('/') ? std::string(home) : "";
  }
  return "";
}

// An image may hold anything under that name: a FIFO, a device, a file without end.
std::string ReadPasswd(int root_fd) {
  const auto file = sys::OpenRegularInRoot(root_fd, "/etc/passwd");
  if (!file.has_value()) return "";
  return ReadFd(file->get(), "/etc/passwd", kPasswdLimit).value_or("");
}

// The last one wins, as in a shell.
std::string_view EnvironmentValue(const ProcessPlan& plan, const std::string& name,
                                  std::string_view otherwise) {
  for (auto entry = plan.env.rbegin(); entry != plan.env.rend(); ++entry)
    if (entry->starts_with(name + "=")) return std::string_view(*entry).substr(name.size() + 1);
  return otherwise;
}

// 0, or the errno that execve(2) would give.
int CheckExecutable(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  if (!S_ISREG(status.st_mode)) return EACCES;
  return ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

Error NotExecutable(const std::string& name, int errnum) {
  const std::string head = "exec: \"" + name + "\": ";
  switch (errnum) {
    case ENOENT:
      return {Code::kNotFound, errnum, head + "stat " + name + ": no such file or directory"};
    case EACCES:
      return {Code::kKernel, errnum, head + "permission denied"};
    case EISDIR:
      return {Code::kKernel, errnum, head + "is a directory"};
    default:
      return {Code::kKernel, errnum, head + "stat " + name + ": " + ErrnoText(errnum)};
  }
}

}  // namespace

Status FillHome(ProcessPlan& plan, int root_fd) {
  if (!EnvironmentValue(plan, "HOME", "").empty()) return {};
  std::erase_if(plan.env, [](const std::string& entry) { return entry.starts_with("HOME="); });
  const std::string home = HomeOf(ReadPasswd(root_fd), plan.uid);
  plan.env.push_back("HOME=" + (home.empty() ? "/" : home));
  return {};
}

Status MakeWorkingDirectory(const ProcessPlan& plan, int root_fd) {
  auto made = sys::MakeDirectoryInRoot(root_fd, plan.cwd);
  if (made.has_value()) return {};
  return std::move(made).error();
}

Status EnterWorkingDirectory(const ProcessPlan& plan) {
  if (::chdir(plan.cwd.c_str()) != 0) return KernelError("chdir(2) cwd=" + plan.cwd);
  // The kernel's own answer: it says "(unreachable)" of what lies outside the root.
  std::array<char, PATH_MAX> cwd{};
  if (::syscall(SYS_getcwd, cwd.data(), cwd.size()) < 0)
    return KernelError("getcwd(2) after chdir(2) cwd=" + plan.cwd);
  if (cwd.front() == '/') return {};
  return Error{
      Code::kKernel, EXDEV,
      "cwd=" + plan.cwd + ": is outside of the container's root, possibly an attempt to break out"};
}

Result<std::string> FindExecutable(const ProcessPlan& plan) {
  const std::string& name = plan.args.front();
  if (name.find('/') != std::string::npos) {
    const int errnum = CheckExecutable(name);
    if (errnum != 0) return NotExecutable(name, errnum);
    return name;
  }
  std::string_view path = EnvironmentValue(plan, "PATH", kDefaultPath);
  while (!path.empty() && !name.empty()) {
    const std::string_view directory = NextField(path, ':');
    const std::string candidate = std::string(directory.empty() ? "." : directory) + "/" + name;
    if (CheckExecutable(candidate) == 0) return candidate;
  }
  return Error{Code::kNotFound, ENOENT,
               "exec: \"" + name + "\": executable file not found in $PATH"};
}

}  // namespace coracle::runtime
