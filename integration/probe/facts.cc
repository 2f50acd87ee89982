#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "probe.h"

extern char** environ;

namespace probe {
namespace {

using Text = std::string;

Text Number(unsigned long long value) { return std::to_string(value); }

Text List(const std::vector<Text>& items) {
  Text out = "[";
  for (const Text& item : items) out += (out.size() > 1 ? ", " : "") + item;
  return out + "]";
}

Text Member(const char* key, const Text& value) { return "\"" + Text(key) + "\": " + value; }

Text Object(const std::vector<Text>& members) {
  const Text list = List(members);
  return "{" + list.substr(1, list.size() - 2) + "}";
}

// A line of /proc/self/status, after its name.
Text StatusLine(const char* key) {
  const Text text = "\n" + ReadFile("/proc/self/status");
  const auto begin = text.find("\n" + Text(key) + ":");
  if (begin == Text::npos) return "null";
  const auto value = text.find_first_not_of(" \t", begin + Text(key).size() + 2);
  return Quote(text.substr(value, text.find('\n', value) - value));
}

Text Caps(const Text&) {
  return Object(
      {Member("inheritable", StatusLine("CapInh")), Member("permitted", StatusLine("CapPrm")),
       Member("effective", StatusLine("CapEff")), Member("bounding", StatusLine("CapBnd")),
       Member("ambient", StatusLine("CapAmb"))});
}

// Without /proc: a container need not have it.
Text Fds(const Text&) {
  std::vector<Text> open;
  for (int fd = 0; fd < 1024; ++fd) {
    if (fcntl(fd, F_GETFD) >= 0) open.push_back(Number(static_cast<unsigned>(fd)));
  }
  return List(open);
}

Text Mounts(const Text&) {
  std::vector<Text> lines;
  const Text text = ReadFile("/proc/self/mountinfo");
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    lines.push_back(Quote(text.substr(at, text.find('\n', at) - at)));
  return List(lines);
}

Text Namespaces(const Text&) {
  std::vector<Text> members;
  for (const char* name : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"}) {
    char target[64] = "";
    const Text path = Text("/proc/self/ns/") + name;
    const ssize_t size = readlink(path.c_str(), target, sizeof target);
    members.push_back(Member(name, Quote(Text(target, size > 0 ? static_cast<size_t>(size) : 0))));
  }
  return Object(members);
}

Text Rlimits(const Text&) {
  static constexpr const char* kNames[] = {
      "CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
      "MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"};
  std::vector<Text> members;
  for (unsigned i = 0; i < RLIM_NLIMITS; ++i) {
    rlimit limit{};
    getrlimit(static_cast<__rlimit_resource_t>(i), &limit);
    members.push_back(Member(kNames[i], List({Number(limit.rlim_cur), Number(limit.rlim_max)})));
  }
  return Object(members);
}

Text Environment(const Text&) {
  std::vector<Text> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) entries.push_back(Quote(*entry));
  return List(entries);
}

Text Ids(const Text&) {
  gid_t groups[256];
  const int count = getgroups(256, groups);
  std::vector<Text> list;
  for (int i = 0; i < count; ++i) list.push_back(Number(groups[i]));
  const mode_t mask = umask(0);
  umask(mask);
  return Object({Member("uid", Number(getuid())), Member("euid", Number(geteuid())),
                 Member("gid", Number(getgid())), Member("egid", Number(getegid())),
                 Member("groups", List(list)), Member("umask", Number(mask))});
}

Text Tty(const Text&) {
  winsize size{};
  const bool has_size = ioctl(0, TIOCGWINSZ, &size) == 0;
  const int controlling = open("/dev/tty", O_RDWR | O_CLOEXEC);
  const auto boolean = [](bool value) { return Text(value ? "true" : "false"); };
  return Object(
      {Member("isatty", List({boolean(isatty(0)), boolean(isatty(1)), boolean(isatty(2))})),
       Member("size", has_size ? List({Number(size.ws_row), Number(size.ws_col)}) : "null"),
       Member("controlling", boolean(controlling >= 0)),
       Member("leader", boolean(getsid(0) == getpid())),
       Member("name", Quote(isatty(0) ? ttyname(0) != nullptr ? ttyname(0) : "?" : ""))});
}

Text Signals(const Text&) {
  return Object({Member("blocked", StatusLine("SigBlk")), Member("ignored", StatusLine("SigIgn"))});
}

Text Stat(const Text& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return Quote(ErrnoName(errno));
  char target[PATH_MAX] = "";
  const ssize_t size = S_ISLNK(info.st_mode) ? readlink(path.c_str(), target, sizeof target) : 0;
  const char kinds[] = "?pc?d?b?-?l?s???";
  return Object({Member("type", Quote(Text(1, kinds[(info.st_mode & S_IFMT) >> 12]))),
                 Member("mode", Number(info.st_mode & 07777)), Member("uid", Number(info.st_uid)),
                 Member("gid", Number(info.st_gid)), Member("major", Number(major(info.st_rdev))),
                 Member("minor", Number(minor(info.st_rdev))),
                 Member("size", Number(static_cast<unsigned long long>(info.st_size))),
                 Member("target", Quote(Text(target, static_cast<size_t>(size))))});
}

Text Read(const Text& path) {
  bool opened = false;
  const Text text = ReadFile(path, &opened);
  return opened ? Quote(text) : "null";
}

Text ListDirectory(const Text& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return Quote(ErrnoName(errno));
  std::vector<Text> names;
  while (const dirent* entry = readdir(directory)) {
    const Text name = entry->d_name;
    if (name != "." && name != "..") names.push_back(Quote(name));
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return List(names);
}

Text Open(const Text& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0644);
  const Text result = Quote(ErrnoName(fd < 0 ? errno : 0));
  if (fd >= 0) close(fd);
  return result;
}

// write=PATH,TEXT: open and write(2), as one writes to a kernel file.
Text Write(const Text& argument) {
  const auto comma = argument.find(',');
  const Text text = comma == Text::npos ? "x" : argument.substr(comma + 1);
  const int fd = open(argument.substr(0, comma).c_str(), O_WRONLY | O_CLOEXEC | O_CREAT, 0644);
  if (fd < 0) return Quote(ErrnoName(errno));
  const ssize_t size = write(fd, text.data(), text.size());
  const Text result = Quote(ErrnoName(size < 0 ? errno : 0));
  close(fd);
  return result;
}

Text Statvfs(const Text& path) {
  struct statvfs info {};
  if (statvfs(path.c_str(), &info) != 0) return Quote(ErrnoName(errno));
  return Object({Member("readonly", info.f_flag & ST_RDONLY ? "true" : "false"),
                 Member("flags", Number(info.f_flag)),
                 Member("bytes", Number(info.f_blocks * info.f_frsize))});
}

Text Uname(const Text&) {
  utsname names{};
  uname(&names);
  return Object({Member("nodename", Quote(names.nodename)), Member("machine", Quote(names.machine)),
                 Member("domainname", Quote(names.domainname))});
}

Text Clock(const Text& argument) {
  timespec now{};
  clock_gettime(argument == "boottime" ? CLOCK_BOOTTIME : CLOCK_MONOTONIC, &now);
  return Number(static_cast<unsigned long long>(now.tv_sec));
}

Text Scheduling(const Text&) {
  sched_param parameters{};
  sched_getparam(0, &parameters);
  const long io = syscall(SYS_ioprio_get, 1, 0);
  return Object({Member("policy", Number(static_cast<unsigned>(sched_getscheduler(0)))),
                 Member("priority", std::to_string(parameters.sched_priority)),
                 Member("nice", std::to_string(getpriority(PRIO_PROCESS, 0))),
                 Member("io_class", Number(static_cast<unsigned long>(io) >> 13)),
                 Member("io_priority", Number(static_cast<unsigned long>(io) & 0x1fff))});
}

Text Affinity(const Text&) {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof set, &set);
  std::vector<Text> cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(Number(cpu));
  }
  return List(cpus);
}

// A system call with arguments that do no harm: its errno, "0" when it worked.
Text Syscall(const Text& name) {
  errno = 0;
  long result = -1;
  char buffer[PATH_MAX];
  if (name == "getcwd") {
    result = syscall(SYS_getcwd, buffer, sizeof buffer);
  } else if (name == "getpid") {
    result = syscall(SYS_getpid);
  } else if (name == "mkdir") {
    result = syscall(SYS_mkdir, "/tmp", 0755);
  } else if (name == "chmod") {
    result = syscall(SYS_chmod, "/nonexistent", 0755);
  } else if (name == "unshare-user") {
    result = syscall(SYS_unshare, CLONE_NEWUSER);
  } else if (name == "unshare-mount") {
    result = syscall(SYS_unshare, CLONE_NEWNS);
  } else if (name == "mount") {
    result = syscall(SYS_mount, "none", "/nonexistent", "tmpfs", 0, nullptr);
  } else if (name == "keyctl") {
    result = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  } else if (name == "personality-linux32") {
    result = syscall(SYS_personality, PER_LINUX32);
  } else if (name == "personality-query") {
    result = syscall(SYS_personality, 0xffffffffUL);
  } else if (name == "chroot") {
    result = syscall(SYS_chroot, "/");
  } else if (name == "reboot") {
    result = syscall(SYS_reboot, 0, 0, 0, nullptr);  // wrong magic: EINVAL with the privilege
  } else if (name == "newest") {
    result = syscall(1000000);
  } else {
    return Quote("unknown");
  }
  return Quote(ErrnoName(result < 0 ? errno : 0));
}

// mount=DIRECTORY: a tmpfs
Text MountTmpfs(const Text& directory) {
  const long result = syscall(SYS_mount, "tmpfs", directory.c_str(), "tmpfs", 0, nullptr);
  return Quote(ErrnoName(result < 0 ? errno : 0));
}

// mknod=TYPE,MAJOR,MINOR
Text Mknod(const Text& argument) {
  char type = 'c';
  unsigned numbers[2] = {};
  std::sscanf(argument.c_str(), "%c,%u,%u", &type, &numbers[0], &numbers[1]);
  const Text path = "/dev/probe-" + argument;
  const int result = mknod(path.c_str(), (type == 'b' ? S_IFBLK : S_IFCHR) | 0600,
                           makedev(numbers[0], numbers[1]));
  return Quote(ErrnoName(result < 0 ? errno : 0));
}

Text Keyring(const Text&) {
  char description[256] = "";
  const long id = syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  if (id < 0) return Quote(ErrnoName(errno));
  syscall(SYS_keyctl, KEYCTL_DESCRIBE, id, description, sizeof description);
  return Quote(description);
}

Text HugePages(const Text& argument) {
  const size_t size = std::strtoull(argument.c_str(), nullptr, 10) << 21;
  void* memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
  return Quote(ErrnoName(memory == MAP_FAILED ? errno : 0));
}

// forks=N: how many of N children could be made; they wait until we end.
Text Forks(const Text& argument) {
  unsigned made = 0;
  int failed_with = 0;
  for (int i = std::atoi(argument.c_str()); i > 0 && failed_with == 0; --i) {
    const pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (;;) pause();
    }
    if (pid < 0) failed_with = errno;
    if (pid > 0) ++made;
  }
  return Object({Member("made", Number(made)), Member("errno", Quote(ErrnoName(failed_with)))});
}

Text Standard(const Text&) { return Quote(ReadFile("/dev/stdin")); }

Text Socket(const Text& argument) {
  const int fd = std::atoi(argument.c_str());
  char buffer[256];
  const ssize_t size = read(fd, buffer, sizeof buffer);
  return size < 0 ? Quote(ErrnoName(errno)) : Quote(Text(buffer, static_cast<size_t>(size)));
}

Text Memory(const Text&) {
  int mode = -1;
  unsigned long nodes[16] = {};
  syscall(SYS_get_mempolicy, &mode, nodes, 1024, nullptr, 0);
  return Number(static_cast<unsigned>(mode));
}

struct Row {
  const char* name;
  Text (*run)(const Text&);
};

constexpr Row kFacts[] = {
    {"caps", Caps},
    {"fds", Fds},
    {"mounts", Mounts},
    {"ns", Namespaces},
    {"rlimits", Rlimits},
    {"env", Environment},
    {"ids", Ids},
    {"tty", Tty},
    {"signals", Signals},
    {"stat", Stat},
    {"read", Read},
    {"list", ListDirectory},
    {"write", Write},
    {"statvfs", Statvfs},
    {"uname", Uname},
    {"clock", Clock},
    {"scheduling", Scheduling},
    {"affinity", Affinity},
    {"syscall", Syscall},
    {"mknod", Mknod},
    {"mount", MountTmpfs},
    {"keyring", Keyring},
    {"hugepages", HugePages},
    {"forks", Forks},
    {"stdin", Standard},
    {"readfd", Socket},
    {"mempolicy", Memory},
    {"cwd",
     [](const Text&) {
       char path[PATH_MAX];
       return Quote(getcwd(path, sizeof path) != nullptr ? path : ErrnoName(errno));
     }},
    {"pid", [](const Text&) { return Number(static_cast<unsigned>(getpid())); }},
    {"no_new_privs", [](const Text&) { return StatusLine("NoNewPrivs"); }},
    {"seccomp", [](const Text&) { return StatusLine("Seccomp"); }},
    {"open-r", [](const Text& path) { return Open(path, O_RDONLY); }},
    {"open-w", [](const Text& path) { return Open(path, O_WRONLY); }},
    {"open-rw", [](const Text& path) { return Open(path, O_RDWR); }},
    {"mkdir",
     [](const Text& path) { return Quote(ErrnoName(mkdir(path.c_str(), 0755) == 0 ? 0 : errno)); }},
    {"exec", [](const Text& path) {  // where it cannot be executed: why
       return Quote(ErrnoName(access(path.c_str(), X_OK) == 0 ? 0 : errno));
     }}};

}  // namespace

std::string Fact(const std::string& name, const std::string& argument) {
  for (const Row& row : kFacts) {
    if (name == row.name) return row.run(argument);
  }
  return AttackFact(name, argument);
}

}  // namespace probe
