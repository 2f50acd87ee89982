"""SELinux for the tests' labels: a policy that confines nobody, as the kernel begins permissive.
Only in a VM: `integration/vm/run --append security=selinux`."""

import os
import pathlib
import subprocess
import tempfile

MOUNT = pathlib.Path("/sys/fs/selinux")
PROCESS = "system_u:system_r:container_t:s0:c1,c2"
FILE = "system_u:object_r:container_file_t:s0:c1,c2"
# In the order of their numbers in the kernel.
INITIAL = """kernel security unlabeled fs file file_labels init any_socket port netif netmsg node
  igmp_packet icmp_socket tcp_socket sysctl_modprobe sysctl sysctl_fs sysctl_kernel sysctl_net
  sysctl_net_unix sysctl_vm sysctl_dev kmod policy scmp_packet devnull""".split()
OBJECT = "system_u:object_r:base_t:s0"
# What this text leaves out is allowed. svirt_sandbox_file_t is a word of the OCI's runtime-tools.
POLICY = "\n".join([
    *[f"class {name}" for name in ("process", "process2", "file", "dir")],
    *[f"sid {name}" for name in INITIAL],
    "class process { transition dyntransition }",
    "class file { entrypoint }", "class dir { search }",
    "class process2 { nnp_transition nosuid_transition }",
    "sensitivity s0;", "dominance { s0 }", *[f"category c{number};" for number in range(1024)],
    "level s0:c0.c1023;", "mlsconstrain process { transition } (h1 dom h2);",
    "policycap nnp_nosuid_transition;",
    *[f"type {name};" for name in ("base_t", "container_t", "container_file_t",
                                   "svirt_sandbox_file_t")],
    "role system_r;", "role system_r types { base_t container_t };",
    "allow base_t container_t:process transition;",
    "user system_u roles { system_r } level s0 range s0 - s0:c0.c1023;",
    "sid kernel system_u:system_r:base_t:s0", *[f"sid {name} {OBJECT}" for name in INITIAL[1:]],
    f"fs_use_trans tmpfs {OBJECT};", f"fs_use_trans mqueue {OBJECT};",
    *[f"genfscon {name} / {OBJECT}" for name in ("proc", "sysfs", "cgroup2")], ""])


def is_there():
    """As a module of the kernel, with or without a policy."""
    return "\tselinuxfs\n" in pathlib.Path("/proc/filesystems").read_text()


def load():
    """Mounts selinuxfs and loads the policy, once."""
    if not (MOUNT / "load").exists():
        subprocess.run(["mount", "-t", "selinuxfs", "selinuxfs", MOUNT], check=True)
    if pathlib.Path("/proc/self/attr/current").read_text().startswith("system_u:"):
        return
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "policy.conf").write_text(POLICY)
        subprocess.run(["checkpolicy", "-M", "-U", "allow", "-o", directory / "policy",
                        directory / "policy.conf"], check=True, capture_output=True)
        descriptor = os.open(MOUNT / "load", os.O_RDWR)
        os.write(descriptor, (directory / "policy").read_bytes())
        os.close(descriptor)
