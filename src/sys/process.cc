#include "coracle/sys/process.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstring>

#include "coracle/base/file.h"

namespace coracle::sys {
namespace {

constexpr int kLastSignal = 64;
constexpr unsigned kKernelThread = 0x00200000;  // PF_KTHREAD, which no header of the kernel gives

struct SignalAlias {
  std::string_view name;
  int number;
};
constexpr SignalAlias kAliases[] = {
    {"IOT", SIGABRT}, {"CLD", SIGCHLD}, {"POLL", SIGPOLL}, {"IO", SIGIO}};

std::optional<int> ParseNumber(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number < 0)
    return std::nullopt;
  return number;
}

// "RTMIN", "RTMIN+3", "RTMAX-1".
std::optional<int> RealTimeSignal(std::string_view name) {
  const bool from_min = name.starts_with("RTMIN");
  if (!from_min && !name.starts_with("RTMAX")) return std::nullopt;
  name.remove_prefix(5);
  int number = from_min ? SIGRTMIN : SIGRTMAX;
  if (!name.empty()) {
    if (name[0] != (from_min ? '+' : '-')) return std::nullopt;
    const std::optional<int> offset = ParseNumber(name.substr(1));
    if (!offset || *offset > kLastSignal) return std::nullopt;
    number += from_min ? *offset : -*offset;
  }
  if (number < SIGRTMIN || number > SIGRTMAX) return std::nullopt;
  return number;
}

std::optional<int> NamedSignal(std::string_view name) {
  for (int number = 1; number < 32; ++number) {
    const char* abbreviation = ::sigabbrev_np(number);
    if (abbreviation != nullptr && name == abbreviation) return number;
  }
  for (const SignalAlias& alias : kAliases)
    if (name == alias.name) return alias.number;
  return RealTimeSignal(name);
}

}  // namespace

Result<UniqueFd> pidfd_open(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (fd) return fd;
  Error error = KernelError("pidfd_open(2) pid=" + std::to_string(pid));
  if (error.errnum == ESRCH) error.code = Code::kNotFound;
  return error;
}

Status pidfd_send_signal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return {};
  Error error = KernelError("pidfd_send_signal(2) signal=" + std::to_string(signal));
  if (error.errnum == ESRCH) error.code = Code::kNotFound;
  return error;
}

Result<ProcessStat> ReadProcessStat(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  Result<std::string> text = ReadFile(path);
  if (!text.has_value()) {
    if (text.error().errnum == ESRCH) text.error().code = Code::kNotFound;
    return text.error();
  }
  // The command's name may hold spaces and parentheses: fields count from the last ')'.
  const std::size_t open = text->find('(');
  const std::size_t paren = text->rfind(')');
  ProcessStat stat;
  if (open < paren && paren != std::string::npos && paren + 2 < text->size()) {
    stat.name = text->substr(open + 1, paren - open - 1);
    std::string_view rest = std::string_view(*text).substr(paren + 2);
    for (int field = 3; !rest.empty(); ++field) {
      const std::size_t end = std::min(rest.find(' '), rest.size());
      const std::string_view value = rest.substr(0, end);
      if (field == 3) stat.state = value.empty() ? '?' : value[0];
      if (field == 4) std::from_chars(value.data(), value.data() + value.size(), stat.parent);
      if (field == 9) {
        unsigned flags = 0;
        std::from_chars(value.data(), value.data() + value.size(), flags);
        stat.kernel_thread = (flags & kKernelThread) != 0;
      }
      if (field == 22) {
        std::from_chars(value.data(), value.data() + value.size(), stat.start_ticks);
        return stat;
      }
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return Error{Code::kKernel, EPROTO, path + ": not in the form of proc_pid_stat(5)"};
}

Result<int> WaitExit(pid_t pid) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0) {
    if (errno != EINTR) return KernelError("waitid(2) pid=" + std::to_string(pid));
  }
  return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

Result<int> SignalNumber(std::string_view name) {
  if (const std::optional<int> number = ParseNumber(name); number && *number <= kLastSignal)
    return *number;
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string_view bare = upper;
  if (bare.starts_with("SIG")) bare.remove_prefix(3);
  if (const std::optional<int> number = NamedSignal(bare)) return *number;
  return Error{Code::kInvalidConfig, EINVAL,
               "unknown signal \"" + std::string(name) +
                   "\"; allowed: a name (TERM, SIGTERM, RTMIN+3) or a number from 0 to 64"};
}

void ResetSignals() {
  // The kernel's call: sigaction(3) refuses the two signals that libc keeps for itself, and those
  // too may have been ignored by whoever started us. All zero is SIG_DFL.
  constexpr std::array<std::uint64_t, 4> kDefault{};
  for (int number = 1; number <= kLastSignal; ++number)
    ::syscall(SYS_rt_sigaction, number, kDefault.data(), nullptr, sizeof(std::uint64_t));
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

Status SetChildSubreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0) return {};
  return KernelError("prctl(2) PR_SET_CHILD_SUBREAPER");
}

}  // namespace coracle::sys
