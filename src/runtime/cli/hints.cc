#include "hints.h"

namespace coracle::runtime::cli {
namespace {

struct Hint {
  int errnum;
  std::string_view call;  // as it stands in the message
  std::string_view text;
};

constexpr Hint kHints[] = {
    {EPERM, "clone3(2)",
     "needs root, or user namespaces: see sysctl user.max_user_namespaces and "
     "kernel.unprivileged_userns_clone"},
    {EACCES, "clone3(2)",
     "a process may be moved only between cgroups whose common parent is the caller's: try "
     "`systemd-run --user --scope`"},
    {EINVAL, "setresuid(2)", "is the id mapped in the user namespace?"},
    {EINVAL, "setresgid(2)", "is the id mapped in the user namespace?"},
    {EPERM, "setgroups(2)", "/proc/self/setgroups says \"deny\": leave additionalGids out"},
    {EACCES, "/run/user/", "set XDG_RUNTIME_DIR, or give --root"},
    {EINVAL, "open_tree(2) flags=OPEN_TREE_CLONE",
     "without root, a tree with mounts below needs the option rbind instead of bind"},
    {ENOSPC, "clone3(2)", "the limit on namespaces is reached: see sysctl user.max_*_namespaces"},
    {EAGAIN, "clone3(2)", "the limit on processes is reached: see ulimit -u and pids.max"},
    {EINVAL, "pivot_root(2)", "a root filesystem on a ramdisk needs --no-pivot"},
    {EPERM, "prlimit(2)", "raising a hard limit needs CAP_SYS_RESOURCE: lower it in config.json"},
    {EACCES, "oom_score_adj", "lowering oom_score_adj needs CAP_SYS_RESOURCE"},
    {EPERM, "bpf(2)", "device rules are an eBPF program: needs CAP_BPF or CAP_SYS_ADMIN"},
    {ENOENT, "cgroup.controllers", "is a cgroup2 file system mounted?"},
    {ENOENT, "/config.json",
     "a bundle is a directory with a config.json; `coracle spec` writes an example"},
    {EMFILE, "", "the limit on open files is reached: see ulimit -n"},
    {ENOSPC, "", "a file system is full: see df and df -i"}};

}  // namespace

std::string_view HintFor(const Error& error) {
  if (error.errnum == 0) return {};
  for (const Hint& hint : kHints) {
    if (error.errnum == hint.errnum && error.message.find(hint.call) != std::string::npos)
      return hint.text;
  }
  return {};
}

}  // namespace coracle::runtime::cli
