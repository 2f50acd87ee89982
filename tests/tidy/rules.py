"""The limits and the layer table that tidy.py enforces (docs/ARCHITECTURE.md explains them)."""

MAX_COLUMNS = 100
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70
MAX_STEP_LINES = 40
MAX_PARAMETERS = 4

# Layer: the layers whose public headers (include/coracle/LAYER) it may include besides its own.
LAYERS = {
    "base": set(),
    "sys": {"base"},
    "oci": {"base"},
    "runtime": {"base", "sys", "oci"},
    "shim": {"base", "sys", "oci", "runtime"},
    "image": {"base", "sys", "oci"},
    "net": {"base", "sys"},
    "cri": {"base", "sys", "oci", "runtime", "shim", "image", "net"},
}

# What a header outside of the system begins with: the layers that may include it.
EXTERNAL = {
    "nlohmann/": {"base"},
    "seccomp.h": {"runtime"},
    "systemd/": {"runtime"},
    "CLI/": {"runtime", "shim", "image", "cri"},
    "google/protobuf/": {"shim", "cri"},
    "shim/": {"shim"},
    "curl/": {"image"},
    "archive.h": {"image"},
    "archive_entry.h": {"image"},
    "openssl/": {"image"},
    "zlib.h": {"image"},
    "zstd.h": {"image"},
    "toml++/": {"image", "cri"},
    "sqlite3.h": {"image", "cri"},
    "grpc/": {"cri"},
    "grpcpp/": {"cri"},
    "cri/": {"cri"},
    "spdlog/": {"cri"},
    "boost/": {"cri"},
    "prometheus/": {"cri"},
    "gtest/": set(),
    "gmock/": set(),
}

# Headers of libc and the kernel: these folders, and these files.
SYSTEM_FOLDERS = ("sys/", "linux/", "asm/", "net/", "netinet/", "arpa/", "bits/")
SYSTEM_HEADERS = {
    "dirent.h", "dlfcn.h", "elf.h", "endian.h", "err.h", "errno.h", "fcntl.h", "features.h",
    "fnmatch.h", "ftw.h", "getopt.h", "glob.h", "grp.h", "ifaddrs.h", "inttypes.h", "langinfo.h",
    "libgen.h", "limits.h", "link.h", "locale.h", "malloc.h", "math.h", "mntent.h", "netdb.h",
    "paths.h", "poll.h", "pthread.h", "pty.h", "pwd.h", "sched.h", "semaphore.h", "signal.h",
    "spawn.h", "stdarg.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "strings.h",
    "syslog.h", "termios.h", "time.h", "ucontext.h", "unistd.h", "utime.h", "utmp.h", "wait.h",
    "wordexp.h", "mqueue.h", "regex.h",
}

# Where one of these layers may not call what would disturb its threads.
FORBIDDEN_CALLS = {"cri": ("fork", "clone", "unshare", "chdir", "umask", "setns")}
# They prepare the process while it has one thread.
BEFORE_THREADS = {"src/cri/main.cc", "src/cri/server.cc"}

# Calls that take a path. What lies in a root file system is reached through src/sys/path.cc only:
# a descriptor of the root, and openat2(2).
PATH_CALLS = ("open", "creat", "mkdir", "mkfifo", "mknod", "symlink", "link", "unlink", "rmdir",
              "remove", "chown", "lchown", "chmod", "stat", "lstat", "statfs", "access", "rename",
              "truncate", "opendir", "readlink", "mount", "chdir", "chroot", "utimensat", "execve",
              "lsetxattr", "setxattr", "getxattr", "MakeDirectories", "ReadFile", "RemoveTree",
              "WriteKernelFile", "WriteFileAtomically")
ROOT_PATH = r"(?<!\w)(?:rootfs|root_path|merged|root(?:\.|->)path)(?:\w|\.|->)*\s*[+/]"

# Words of unfinished work, and folders of one particular machine.
FORBIDDEN_WORDS = r"\b(?:TODO|FIXME|XXX)\b|/work/(?:main|shared|brief|build)\b|/opt/peers\b"
