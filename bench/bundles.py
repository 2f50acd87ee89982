"""The measured bundles. limit.cc does their kernel work by hand: change both together."""

import copy
import json
import shutil
import subprocess

FEW = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
USUAL = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
         "CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
         "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE"]

# As `runc spec` writes it, without a terminal.
DEFAULT = {
    "ociVersion": "1.0.2",
    "process": {
        "user": {"uid": 0, "gid": 0}, "args": ["/noop"], "cwd": "/",
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "capabilities": {kind: FEW for kind in ("bounding", "effective", "permitted")},
        "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
        "noNewPrivileges": True},
    "root": {"path": "rootfs", "readonly": True},
    "hostname": "bench",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
         "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": kind} for kind in
                       ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                        "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                          "/proc/sysrq-trigger"]}}

# Host files that a kubelet gives to a container, in the folder "files" of the bundle.
FILES = {"hosts": "/etc/hosts", "hostname": "/etc/hostname", "resolv.conf": "/etc/resolv.conf",
         "termination-log": "/dev/termination-log"}


def profile(programs, capabilities):
    text = subprocess.run([programs / "profile", *capabilities], check=True, capture_output=True)
    return json.loads(text.stdout)


def without(config, *kinds):
    config["linux"]["namespaces"] = [each for each in config["linux"]["namespaces"]
                                     if each["type"] not in kinds]
    return config


def write(bundle, config, programs):
    root = bundle / "rootfs"
    for directory in ("proc", "dev", "sys", "etc", "run/secrets"):
        (root / directory).mkdir(parents=True)
    for name in ("hosts", "hostname", "resolv.conf"):
        (root / "etc" / name).touch()
    shutil.copy(programs / "noop", root / "noop")
    (bundle / "config.json").write_text(json.dumps(config, indent=1))


def of_a_pod(bundle, programs):
    """A container beside its sandbox: the pod's namespaces (here the host's), bind mounts,
    the usual capabilities and devices."""
    config = without(copy.deepcopy(DEFAULT), "network", "ipc", "uts")
    del config["hostname"]
    config["root"]["readonly"] = False
    config["process"]["capabilities"] = {kind: USUAL for kind in
                                         ("bounding", "effective", "permitted")}
    files = bundle / "files"
    (files / "secrets").mkdir(parents=True)
    for name, destination in FILES.items():
        (files / name).write_text("x\n")
        config["mounts"].append({"destination": destination, "type": "bind",
                                 "source": str(files / name),
                                 "options": ["rbind", "rprivate", "rw"]})
    config["mounts"].append({"destination": "/run/secrets", "type": "bind",
                             "source": str(files / "secrets"),
                             "options": ["rbind", "rprivate", "ro"]})
    config["linux"]["resources"]["devices"] += [
        {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
        for major, minor in ((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2))]
    config["linux"]["seccomp"] = profile(programs, USUAL)
    write(bundle, config, programs)


def make(folder, programs):
    """default, seccomp (docker's profile), nonet (no network namespace), cri, and wait, whose
    program waits to be killed."""
    write(folder / "default", copy.deepcopy(DEFAULT), programs)
    filtered = copy.deepcopy(DEFAULT)
    filtered["linux"]["seccomp"] = profile(programs, FEW)
    write(folder / "seccomp", copy.deepcopy(filtered), programs)
    write(folder / "nonet", without(copy.deepcopy(filtered), "network"), programs)
    filtered["process"]["args"] = ["/noop", "wait"]
    write(folder / "wait", filtered, programs)
    of_a_pod(folder / "cri", programs)
