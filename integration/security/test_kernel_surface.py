"""What of the kernel a container can reach under a profile of the field's kind: a list of what is
allowed, the address families of socket(2) by three rules that do not overlap."""

import os

import pytest

from oci.test_oci_seccomp import ORDINARY, rule

REFUSED = ("mount", "unshare-user", "unshare-mount", "keyctl", "reboot", "chroot")
CLONE_NEW = 0x7E020000
UNKNOWN = [600, 1000, 0x3FFFFFFF]


def allow(*names, **more):
    return rule(*names, action="SCMP_ACT_ALLOW", **more)


def argument(value, op):
    return [{"index": 0, "value": value, "op": op}]


def profile(*architectures, extra=()):
    without = [name for name in ORDINARY if name not in ("clone", "clone3")]
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
            "architectures": [f"SCMP_ARCH_{name}" for name in architectures],
            "syscalls": [
                allow(*without, *extra),
                allow("socket", args=argument(38, "SCMP_CMP_LT")),
                allow("socket", args=argument(39, "SCMP_CMP_EQ")),
                allow("socket", args=argument(40, "SCMP_CMP_GT")),
                allow("clone", args=argument(CLONE_NEW, "SCMP_CMP_MASKED_EQ")),
                rule("clone3", errnoRet=38)]}


@pytest.mark.parametrize("capable", [False, True])
def test_what_is_not_listed_is_not_reached(bundle, capable):
    """R-24: a call that is known and not listed gives EPERM, one that nobody knew ENOSYS."""
    sets = ("bounding", "effective", "permitted")
    bundle.process["capabilities"] = {
        name: ["CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_BOOT"] if capable else []
        for name in sets}
    bundle.process["noNewPrivileges"] = not capable
    bundle.linux["seccomp"] = profile("X86_64")
    seen = bundle.run("seccomp", *[f"syscall={name}" for name in REFUSED],
                      *[f"number={number}" for number in UNKNOWN])
    assert seen["seccomp"] == "2"
    assert {seen[f"syscall={name}"] for name in REFUSED} == {"EPERM"}
    assert {seen[f"number={number}"] for number in UNKNOWN} == {"ENOSYS"}


def test_address_families(bundle):
    """CVE-2026-31431: AF_ALG and AF_VSOCK are refused by the filter, the others by nobody."""
    bundle.linux["seccomp"] = profile("X86_64")
    seen = bundle.run(*[f"socket={family}" for family in range(48)])
    assert seen["socket=38"] == seen["socket=40"] == "EPERM"
    assert seen["socket=1"] == "0"
    assert seen["socket=16"] == "ESOCKTNOSUPPORT"
    plain = dict(bundle.linux)
    del bundle.linux["seccomp"]
    free = bundle.run(*[f"socket={family}" for family in range(48)])
    bundle.linux.update(plain)
    others = [f"socket={family}" for family in range(48) if family not in (38, 40)]
    assert {word: seen[word] for word in others} == {word: free[word] for word in others}


def has_32_bit(bundle):
    return bundle.run("i386=20")["i386=20"] == "0"


@pytest.mark.parametrize("nnp", [True, False])
@pytest.mark.parametrize("word", ["i386=20", "x32=39", "i386=socket:38"])
def test_other_abis_do_not_go_around_the_filter(bundle, word, nnp):
    """CVE-2026-123876, R-27: an architecture that is not listed is killed."""
    if word.startswith("i386") and not has_32_bit(bundle):
        pytest.skip("this kernel has no 32-bit gate")
    bundle.without_namespace("pid")  # its first process would survive the signal
    bundle.process["noNewPrivileges"] = nnp
    bundle.linux["seccomp"] = profile("X86_64")
    done = bundle.run_text(word, code=None)
    assert done.returncode == 128 + 31 or '"ENOSYS"' in done.stdout, done
    assert '"0"' not in done.stdout


def test_listed_32_bit_calls_are_filtered_by_their_own_numbers(bundle):
    if not has_32_bit(bundle):
        pytest.skip("this kernel has no 32-bit gate")
    bundle.linux["seccomp"] = profile("X86_64", "X86")
    seen = bundle.run("i386=20", "i386=21", "i386=61", "socket=38")
    assert seen["i386=20"] == "0"
    # mount and chroot are not listed; as numbers of x86-64 these are other calls.
    assert seen["i386=21"] == seen["i386=61"] == seen["socket=38"] == "EPERM"


@pytest.mark.xfail(strict=True, reason="socketcall(2) has its arguments in memory: a condition on "
                   "socket(2) means nothing to it; who wants that closed leaves out SCMP_ARCH_X86")
def test_condition_on_socket_holds_for_socketcall(bundle):
    """CVE-2026-123876: what libseccomp makes of such a profile, and so do we."""
    if not has_32_bit(bundle):
        pytest.fail("this kernel has no 32-bit gate")
    bundle.linux["seccomp"] = profile("X86_64", "X86")
    assert bundle.run("i386=socket:38")["i386=socket:38"] == "EPERM"


def test_clone_makes_no_namespace(bundle):
    bundle.linux["seccomp"] = profile("X86_64")
    bundle.process["capabilities"] = {name: ["CAP_SYS_ADMIN"] for name in
                                      ("bounding", "effective", "permitted")}
    seen = bundle.run("clone=0x10000000", "clone=0x20000", "clone=0", "number=435")
    assert seen["clone=0x10000000"] == seen["clone=0x20000"] == "EPERM"
    assert seen["clone=0"] == "0"
    assert seen["number=435"] == "ENOSYS"  # clone3


def test_masked_and_readonly_paths_of_the_field(bundle):
    """CVE-2018-10892 and after: no kernel interface shows through, whatever this kernel has."""
    masked = ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
              "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list",
              "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware"]
    readonly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    bundle.linux["maskedPaths"] = masked + masked[:2]  # twice is once
    bundle.linux["readonlyPaths"] = readonly
    seen = bundle.run(*[f"{what}={path}" for path in masked for what in ("stat", "read", "list")],
                      "open-w=/proc/sysrq-trigger", "write=/proc/sys/kernel/core_pattern,x",
                      "write=/sys/kernel/x", "mounts")
    for path in masked:
        node = seen[f"stat={path}"]
        if isinstance(node, dict) and node["type"] == "d":
            assert seen[f"list={path}"] == []
        elif isinstance(node, dict):
            assert (node["major"], node["minor"]) == (1, 3) and seen[f"read={path}"] == ""
        else:
            assert node == "ENOENT" and not os.path.exists(path)
    sysrq = "EROFS" if os.path.exists("/proc/sysrq-trigger") else "ENOENT"
    assert seen["open-w=/proc/sysrq-trigger"] == sysrq
    assert seen["write=/proc/sys/kernel/core_pattern,x"] == "EROFS"
    assert seen["write=/sys/kernel/x"] == "EROFS"
    points = [mount.split()[4] for mount in seen["mounts"]]
    assert len(points) == len(set(points))
