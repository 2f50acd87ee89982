// The seccomp profile RuntimeDefault: what containers of the field may call by default, as a table.
#include "seccomp_default.h"

#include <linux/sched.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <sstream>
#include <string_view>

namespace coracle::cri {
namespace {

// Allowed to everybody. A call that is in no list here is refused with EPERM: among them
// io_uring_*, userfaultfd, keyctl, add_key, request_key and kexec_load.
constexpr const char* kAlways = R"(
_llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir
chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime
clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range
creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32
fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64
futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents
getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer
getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32
getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel
io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get
ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown
lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr
lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret
mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr
mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64
mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe
pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2
prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead
readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages
removexattr removexattrat rename renameat renameat2 restart_syscall riscv_hwprobe rmdir rseq
rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64
send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address
setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32
setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown
sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64
statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill
time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat
utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev)";

// Seccomp comes after ptrace since Linux 4.8: a traced process cannot be made to escape its filter.
constexpr const char* kSinceLinux48 = "process_vm_readv process_vm_writev ptrace";

// Allowed to those who hold the capability: the kernel asks for it anyway, and a container that was
// given it is meant to use it.
constexpr const char* kDacReadSearch = "open_by_handle_at";
constexpr const char* kSysAdmin = R"(
bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr
lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open
quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare)";
constexpr const char* kSysBoot = "reboot";
constexpr const char* kSysChroot = "chroot";
constexpr const char* kSysModule = "delete_module finit_module init_module";
constexpr const char* kSysPacct = "acct";
constexpr const char* kSysPtrace = R"(
kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace)";
constexpr const char* kSysRawio = "ioperm iopl";
constexpr const char* kSysTime = "clock_settime clock_settime64 settimeofday stime";
constexpr const char* kSysTtyConfig = "vhangup";
constexpr const char* kSysNice = "get_mempolicy mbind set_mempolicy set_mempolicy_home_node";
constexpr const char* kSyslog = "syslog";
constexpr const char* kBpf = "bpf";
constexpr const char* kPerfmon = "perf_event_open";
struct CapabilityCalls {
  std::string_view capability;
  const char* names;
};
constexpr CapabilityCalls kWithCapability[] = {
    {"CAP_DAC_READ_SEARCH", kDacReadSearch},
    {"CAP_SYS_ADMIN", kSysAdmin},
    {"CAP_SYS_BOOT", kSysBoot},
    {"CAP_SYS_CHROOT", kSysChroot},
    {"CAP_SYS_MODULE", kSysModule},
    {"CAP_SYS_PACCT", kSysPacct},
    {"CAP_SYS_PTRACE", kSysPtrace},
    {"CAP_SYS_RAWIO", kSysRawio},
    {"CAP_SYS_TIME", kSysTime},
    {"CAP_SYS_TTY_CONFIG", kSysTtyConfig},
    {"CAP_SYS_NICE", kSysNice},
    {"CAP_SYSLOG", kSyslog},
    {"CAP_BPF", kBpf},
    {"CAP_PERFMON", kPerfmon},
};

// A 32-bit architecture is what its images need, as everywhere; but i386's socketcall(2) has its
// arguments in memory, where a filter cannot look, and goes around the conditions on socket(2)
// below (CVE-2026-123876). x32, which nobody has programs for, stays out.
#if defined(__x86_64__)
constexpr const char* kArchitecture = "SCMP_ARCH_X86_64";
constexpr const char* kArchitecture32 = "SCMP_ARCH_X86";
constexpr const char* kArchitectureCalls = "arch_prctl modify_ldt";
#elif defined(__aarch64__)
constexpr const char* kArchitecture = "SCMP_ARCH_AARCH64";
constexpr const char* kArchitecture32 = "SCMP_ARCH_ARM";
constexpr const char* kArchitectureCalls = R"(
arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2)";
#else
#error "seccomp_default.cc: name this architecture and the system calls that only it has"
#endif

// personality(2): only what changes nothing dangerous (PER_LINUX, PER_LINUX32, UNAME26), and the
// question which one is in force.
constexpr std::uint64_t kPersonalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

// clone(2) may make no namespace.
constexpr std::uint64_t kCloneNewMask = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                        CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
static_assert(kCloneNewMask == 0x7e020000);

// socket(2): AF_ALG (38) and AF_VSOCK (40) reach into the kernel and out of the VM. Three rules
// that do not overlap: two conditions of one rule would mean "and".
constexpr std::uint64_t kAfAlg = 38, kBetween = 39, kAfVsock = 40;

std::vector<std::string> Words(const char* text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

oci::SeccompRule Allow(const char* names) {
  return {.names = Words(names), .action = "SCMP_ACT_ALLOW", .errno_ret = {}, .args = {}};
}

oci::SeccompRule AllowIf(std::string_view name, oci::SeccompArg arg) {
  return {.names = {std::string(name)},
          .action = "SCMP_ACT_ALLOW",
          .errno_ret = {},
          .args = {std::move(arg)}};
}

}  // namespace

oci::Seccomp DefaultSeccomp(const std::vector<std::string>& capabilities, bool with_32_bit) {
  const auto holds = [&](std::string_view name) {
    return std::ranges::find(capabilities, name) != capabilities.end();
  };
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_ERRNO";
  profile.default_errno_ret = EPERM;
  profile.architectures = {kArchitecture};
  if (with_32_bit) profile.architectures.emplace_back(kArchitecture32);
  auto& rules = profile.syscalls;
  rules.push_back(Allow(kAlways));
  rules.push_back(Allow(kArchitectureCalls));
  rules.push_back(Allow(kSinceLinux48));
  for (const auto& [capability, names] : kWithCapability) {
    if (holds(capability)) rules.push_back(Allow(names));
  }
  rules.push_back(
      AllowIf("socket", {.index = 0, .value = kAfAlg, .value_two = 0, .op = "SCMP_CMP_LT"}));
  rules.push_back(
      AllowIf("socket", {.index = 0, .value = kBetween, .value_two = 0, .op = "SCMP_CMP_EQ"}));
  rules.push_back(
      AllowIf("socket", {.index = 0, .value = kAfVsock, .value_two = 0, .op = "SCMP_CMP_GT"}));
  for (const std::uint64_t value : kPersonalities) {
    rules.push_back(
        AllowIf("personality", {.index = 0, .value = value, .value_two = 0, .op = "SCMP_CMP_EQ"}));
  }
  if (!holds("CAP_SYS_ADMIN")) {
    rules.push_back(AllowIf(
        "clone", {.index = 0, .value = kCloneNewMask, .value_two = 0, .op = "SCMP_CMP_MASKED_EQ"}));
    // Its flags lie in memory, where a filter cannot look; ENOSYS makes libraries use clone(2).
    rules.push_back(
        {.names = {"clone3"}, .action = "SCMP_ACT_ERRNO", .errno_ret = ENOSYS, .args = {}});
  }
  return profile;
}

}  // namespace coracle::cri
