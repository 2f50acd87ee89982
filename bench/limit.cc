// The floor: what the kernel must do for a container of one of the bundles of bundles.py, and
// nothing else. No JSON, no state, no errors but a line number, no C library.
//
//   limit KIND BUNDLE CGROUP FILTER      KIND: default, seccomp, nonet, cri
//
// CGROUP is a directory to be made and removed; FILTER a file of sock_filter.
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "bare.h"

namespace {

using bare::Address;

constexpr long kHere = AT_FDCWD;
constexpr long kDetach = 2;  // MNT_DETACH
constexpr long kCapabilities = 1L << CAP_AUDIT_WRITE | 1L << CAP_KILL | 1L << CAP_NET_BIND_SERVICE;

[[noreturn]] void Fail(int line) {
  char text[] = "limit: line 0000\n";
  for (int at = 15; line > 0; line /= 10) text[at--] = static_cast<char>('0' + line % 10);
  bare::Call(__NR_write, 2, Address(text), sizeof text - 1);
  bare::Exit(1);
}

struct Number {
  // NOLINTNEXTLINE(google-explicit-constructor): the line is that of the call
  constexpr Number(long of_call, int of_source = __builtin_LINE())
      : number(of_call), line(of_source) {}
  long number;
  int line;
};

template <class... Arguments>
long Must(Number call, Arguments... arguments) {
  const long result = bare::Call(call.number, arguments...);
  if (result < 0) Fail(call.line);
  return result;
}

void Close(long fd) { bare::Call(__NR_close, fd); }

bool Same(const char* a, const char* b) {
  while (*a != '\0' && *a == *b) ++a, ++b;
  return *a == *b;
}

struct Kind {
  const char* name;
  unsigned long namespaces;
  bool seccomp, binds, readonly;
};
constexpr unsigned long kFew = CLONE_NEWPID | CLONE_NEWNS;
constexpr unsigned long kMost = kFew | CLONE_NEWIPC | CLONE_NEWUTS;
constexpr Kind kKinds[] = {{"default", kMost | CLONE_NEWNET, false, false, true},
                           {"seccomp", kMost | CLONE_NEWNET, true, false, true},
                           {"nonet", kMost, true, false, true},
                           {"cri", kFew, true, true, false}};

struct Option {
  const char *key, *value;
};

struct Filesystem {
  const char *type, *target;
  unsigned attributes;
  Option options[4];
};
constexpr unsigned kNoSuidExec = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
constexpr unsigned kStrict = kNoSuidExec | MOUNT_ATTR_NODEV;
constexpr Filesystem kFilesystems[] = {
    {"proc", "proc", 0, {}},
    {"tmpfs",
     "dev",
     MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME,
     {{"mode", "755"}, {"size", "65536k"}}},
    {"devpts", "dev/pts", kNoSuidExec, {{"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}}},
    {"tmpfs", "dev/shm", kStrict, {{"mode", "1777"}, {"size", "65536k"}}},
    {"mqueue", "dev/mqueue", kStrict, {}},
    {"sysfs", "sys", kStrict | MOUNT_ATTR_RDONLY, {}},
    {"cgroup2", "sys/fs/cgroup", kStrict | MOUNT_ATTR_RDONLY, {}}};

struct Node {
  const char* path;
  unsigned major, minor;
};
constexpr Node kNodes[] = {{"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
                           {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0}};
constexpr Option kLinks[] = {{"dev/fd", "/proc/self/fd"},
                             {"dev/stdin", "/proc/self/fd/0"},
                             {"dev/stdout", "/proc/self/fd/1"},
                             {"dev/stderr", "/proc/self/fd/2"},
                             {"dev/ptmx", "pts/ptmx"}};
// Of the host, in the bundle's folder "files": what a kubelet gives to a container.
constexpr Option kBinds[] = {{"hosts", "etc/hosts"},
                             {"hostname", "etc/hostname"},
                             {"resolv.conf", "etc/resolv.conf"},
                             {"termination-log", "dev/termination-log"},
                             {"secrets", "run/secrets"}};
constexpr const char* kMaskedFiles[] = {"proc/kcore",       "proc/keys",
                                        "proc/timer_list",  "proc/latency_stats",
                                        "proc/timer_stats", "proc/sched_debug"};
constexpr const char* kMaskedDirectories[] = {"proc/acpi", "proc/asound", "sys/firmware",
                                              "proc/scsi"};
constexpr const char* kReadonly[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
                                     "proc/sysrq-trigger"};

void Attach(long tree, const char* target) {
  Must(__NR_move_mount, tree, Address(""), kHere, Address(target), MOVE_MOUNT_F_EMPTY_PATH);
  Close(tree);
}

long NewFilesystem(const char* type, const Option* options, unsigned attributes) {
  const long fs = Must(__NR_fsopen, Address(type), FSOPEN_CLOEXEC);
  for (; options != nullptr && options->key != nullptr; ++options)
    Must(__NR_fsconfig, fs, FSCONFIG_SET_STRING, Address(options->key), Address(options->value));
  Must(__NR_fsconfig, fs, FSCONFIG_CMD_CREATE);
  const long tree = Must(__NR_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
  Close(fs);
  return tree;
}

long CloneTree(const char* path) {
  return Must(__NR_open_tree, kHere, Address(path),
              OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
}

void SetReadonly(long fd) {
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  Must(__NR_mount_setattr, fd, Address(""), AT_EMPTY_PATH, Address(&attributes), sizeof attributes);
}

bool Exists(const char* path) { return bare::Call(__NR_access, Address(path), 0) == 0; }

void MountAll(bool binds) {
  for (const Filesystem& each : kFilesystems) {
    bare::Call(__NR_mkdir, Address(each.target), 0755);
    Attach(NewFilesystem(each.type, each.options, each.attributes), each.target);
  }
  bare::Call(__NR_umask, 0);
  for (const Node& node : kNodes)
    Must(__NR_mknod, Address(node.path), S_IFCHR | 0666, node.major << 8 | node.minor);
  for (const Option& link : kLinks) Must(__NR_symlink, Address(link.value), Address(link.key));
  if (!binds) return;
  const long files = Must(__NR_open, Address("../files"), O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (const Option& bind : kBinds) {
    if (!Exists(bind.value)) Must(__NR_mknod, Address(bind.value), S_IFREG | 0644);
    Attach(Must(__NR_open_tree, files, Address(bind.key), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC),
           bind.value);
  }
  Close(files);
}

void Mask() {
  for (const char* path : kReadonly) {
    if (!Exists(path)) continue;
    const long tree = CloneTree(path);
    SetReadonly(tree);
    Attach(tree, path);
  }
  for (const char* path : kMaskedFiles)
    if (Exists(path)) Attach(CloneTree("/dev/null"), path);
  const char* first = nullptr;
  for (const char* path : kMaskedDirectories) {
    if (!Exists(path)) continue;
    Attach(first != nullptr ? CloneTree(first) : NewFilesystem("tmpfs", nullptr, MOUNT_ATTR_RDONLY),
           path);
    first = path;
  }
}

void RaiseLoopback() {
  const long socket = Must(__NR_socket, AF_INET, SOCK_DGRAM);
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  Must(__NR_ioctl, socket, SIOCSIFFLAGS, Address(&request));
  Close(socket);
}

void DropPrivileges() {
  Must(__NR_setsid);
  const rlimit limit = {1024, 1024};
  Must(__NR_prlimit64, 0, RLIMIT_NOFILE, Address(&limit));
  for (int i = 0; i <= CAP_LAST_CAP; ++i)
    if ((kCapabilities >> i & 1) == 0) bare::Call(__NR_prctl, PR_CAPBSET_DROP, i);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const unsigned low = static_cast<unsigned>(kCapabilities);
  const __user_cap_data_struct data[2] = {{low, low, 0}, {0, 0, 0}};
  Must(__NR_capset, Address(&header), Address(data));
  Must(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1);
}

struct Work {
  const Kind* kind;
  const char* root;
  const sock_fprog* filter;
  long limited;  // an eventfd: the device program is attached
};

[[noreturn]] void Child(const Work& work) {
  Must(__NR_unshare, CLONE_NEWCGROUP);
  Must(__NR_mount, 0, Address("/"), 0, MS_REC | MS_SLAVE);
  const long root = CloneTree(work.root);
  Must(__NR_move_mount, root, Address(""), kHere, Address(work.root), MOVE_MOUNT_F_EMPTY_PATH);
  // ".." of the root is the bundle until the root is moved.
  Must(__NR_fchdir, root);
  MountAll(work.kind->binds);
  Mask();
  Must(__NR_pivot_root, Address("."), Address("."));
  Must(__NR_umount2, Address("."), kDetach);
  Must(__NR_chdir, Address("/"));
  if (work.kind->readonly) SetReadonly(root);
  Close(root);
  if ((work.kind->namespaces & CLONE_NEWUTS) != 0) Must(__NR_sethostname, Address("bench"), 5);
  if ((work.kind->namespaces & CLONE_NEWNET) != 0) RaiseLoopback();
  long ready = 0;
  Must(__NR_read, work.limited, Address(&ready), sizeof ready);
  DropPrivileges();
  if (work.filter != nullptr) Must(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, Address(work.filter));
  const char* arguments[] = {"/noop", nullptr};
  const char* environment[] = {"PATH=/bin", nullptr};
  Must(__NR_execve, Address(arguments[0]), Address(arguments), Address(environment));
  bare::Exit(1);
}

// A program of the usual size: character devices by number, the rest refused.
long LoadDeviceProgram() {
  bpf_insn code[64] = {};
  int size = 0;
  const auto emit = [&](int op, int to, int from, int offset, int value) {
    code[size++] = {static_cast<__u8>(op), static_cast<__u8>(to & 15), static_cast<__u8>(from & 15),
                    static_cast<__s16>(offset), value};
  };
  emit(BPF_LDX | BPF_MEM | BPF_W, 2, 1, 0, 0);
  emit(BPF_ALU | BPF_AND | BPF_K, 2, 0, 0, 0xffff);
  emit(BPF_LDX | BPF_MEM | BPF_W, 4, 1, 4, 0);
  emit(BPF_LDX | BPF_MEM | BPF_W, 5, 1, 8, 0);
  for (const Node& node : kNodes) {
    emit(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 4, BPF_DEVCG_DEV_CHAR);
    emit(BPF_JMP | BPF_JNE | BPF_K, 4, 0, 3, static_cast<int>(node.major));
    emit(BPF_JMP | BPF_JNE | BPF_K, 5, 0, 2, static_cast<int>(node.minor));
    emit(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1);
    emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }
  emit(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0);
  emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  bpf_attr attr = {};
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = static_cast<__u64>(Address(code));
  attr.insn_cnt = static_cast<__u32>(size);
  attr.license = static_cast<__u64>(Address("Apache-2.0"));
  return Must(__NR_bpf, BPF_PROG_LOAD, Address(&attr), sizeof attr);
}

void LimitDevices(long cgroup) {
  const long program = LoadDeviceProgram();
  bpf_attr attr = {};
  attr.target_fd = static_cast<__u32>(cgroup);
  attr.attach_bpf_fd = static_cast<__u32>(program);
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  Must(__NR_bpf, BPF_PROG_ATTACH, Address(&attr), sizeof attr);
  Close(program);
}

int Run(Work& work, const char* cgroup) {
  Must(__NR_mkdir, Address(cgroup), 0755);
  const long directory = Must(__NR_open, Address(cgroup), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  work.limited = Must(__NR_eventfd2, 0, O_CLOEXEC);
  clone_args clone = {};
  clone.flags = work.kind->namespaces | CLONE_INTO_CGROUP;
  clone.exit_signal = SIGCHLD;
  clone.cgroup = static_cast<__u64>(directory);
  const long pid = Must(__NR_clone3, Address(&clone), sizeof clone);
  if (pid == 0) Child(work);
  LimitDevices(directory);
  const long ready = 1;
  Must(__NR_write, work.limited, Address(&ready), sizeof ready);
  int status = 0;
  Must(__NR_wait4, pid, Address(&status));
  Must(__NR_rmdir, Address(cgroup));
  return status == 0 ? 0 : 1;
}

}  // namespace

extern "C" [[noreturn]] void Main(char** arguments) {
  static sock_filter instructions[BPF_MAXINSNS];
  static char root[4096];
  sock_fprog filter = {0, instructions};
  Work work = {nullptr, root, nullptr, -1};
  for (const Kind& kind : kKinds)
    if (arguments[1] != nullptr && Same(arguments[1], kind.name)) work.kind = &kind;
  if (work.kind == nullptr || arguments[2] == nullptr || arguments[3] == nullptr) Fail(__LINE__);
  int size = 0;
  for (const char* at = arguments[2]; *at != '\0'; ++at) root[size++] = *at;
  for (const char* at = "/rootfs"; *at != '\0'; ++at) root[size++] = *at;
  if (work.kind->seccomp) {
    const long file = Must(__NR_open, Address(arguments[4]), O_RDONLY | O_CLOEXEC);
    const long bytes = Must(__NR_read, file, Address(instructions), sizeof instructions);
    Close(file);
    filter.len =
        static_cast<unsigned short>(static_cast<unsigned long>(bytes) / sizeof(sock_filter));
    work.filter = &filter;
  }
  bare::Exit(Run(work, arguments[3]));
}

// The compiler may ask for these two even here.
extern "C" void* memset(void* to, int value, unsigned long size) {
  for (char* at = static_cast<char*>(to); size > 0; --size) *at++ = static_cast<char>(value);
  return to;
}
extern "C" void* memcpy(void* to, const void* from, unsigned long size) {
  const char* source = static_cast<const char*>(from);
  for (char* at = static_cast<char*>(to); size > 0; --size) *at++ = *source++;
  return to;
}
