"""config-linux.md#seccomp: what the program's system calls answer."""

import array
import contextlib
import fcntl
import json
import os
import socket
import struct
import threading

import pytest

NATIVE = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]


def profile(*rules, default="SCMP_ACT_ALLOW", **more):
    return {"defaultAction": default, "architectures": NATIVE, "syscalls": list(rules)} | more


def rule(*names, action="SCMP_ACT_ERRNO", **more):
    return {"names": list(names), "action": action} | more


def test_without_a_profile(bundle):
    assert bundle.run("seccomp")["seccomp"] == "0"


@pytest.mark.checklist(113, 117)
@pytest.mark.parametrize("errnum, name", [(None, "EPERM"), (38, "ENOSYS"), (13, "EACCES")])
def test_errno(bundle, errnum, name):
    more = {} if errnum is None else {"errnoRet": errnum}
    bundle.linux["seccomp"] = profile(rule("personality", "chmod", **more))
    seen = bundle.run("seccomp", "syscall=personality-query", "syscall=chmod", "syscall=mkdir")
    assert seen["seccomp"] == "2"
    assert seen["syscall=personality-query"] == seen["syscall=chmod"] == name
    assert seen["syscall=mkdir"] == "EEXIST"


@pytest.mark.parametrize("nnp", [True, False])
def test_with_and_without_new_privileges(bundle, nnp):
    bundle.process["noNewPrivileges"] = nnp
    bundle.process["capabilities"] = {}
    bundle.linux["seccomp"] = profile(rule("personality"))
    seen = bundle.run("syscall=personality-query", "no_new_privs", "caps")
    assert seen["syscall=personality-query"] == "EPERM" and seen["no_new_privs"] == str(int(nnp))


@pytest.mark.checklist(113)
def test_kill(bundle):
    bundle.without_namespace("pid")
    bundle.linux["seccomp"] = profile(rule("personality", action="SCMP_ACT_KILL_PROCESS"))
    bundle.run("syscall=personality-query", code=128 + 31)


@pytest.mark.checklist(113)
def test_trap(bundle):
    bundle.without_namespace("pid")
    bundle.linux["seccomp"] = profile(rule("personality", action="SCMP_ACT_TRAP"))
    bundle.run("syscall=personality-query", code=128 + 31)


@pytest.mark.checklist(117)
@pytest.mark.parametrize("op, value, refused", [
    ("SCMP_CMP_EQ", 0o755, True), ("SCMP_CMP_EQ", 0o700, False),
    ("SCMP_CMP_NE", 0o755, False), ("SCMP_CMP_LT", 0o756, True), ("SCMP_CMP_LE", 0o754, False),
    ("SCMP_CMP_GE", 0o755, True), ("SCMP_CMP_GT", 0o755, False)])
def test_arguments(bundle, op, value, refused):
    bundle.linux["seccomp"] = profile(
        rule("mkdir", args=[{"index": 1, "value": value, "op": op}]))
    assert bundle.run("syscall=mkdir")["syscall=mkdir"] == ("EPERM" if refused else "EEXIST")


@pytest.mark.checklist(117)
def test_masked_argument(bundle):
    bundle.linux["seccomp"] = profile(rule("mkdir", args=[
        {"index": 1, "value": 0o700, "valueTwo": 0o700, "op": "SCMP_CMP_MASKED_EQ"}]))
    assert bundle.run("syscall=mkdir")["syscall=mkdir"] == "EPERM"


@pytest.mark.checklist(118)
def test_unknown_names_are_skipped(bundle):
    bundle.linux["seccomp"] = profile(rule("nosuchcall", "personality"))
    assert bundle.run("syscall=personality-query")["syscall=personality-query"] == "EPERM"


ORDINARY = """access arch_prctl brk capget capset chdir clone clone3 close close_range dup dup2 dup3
execve execveat exit exit_group faccessat faccessat2 fchdir fcntl fstat fstatfs futex getcwd
getdents64 getegid geteuid getgid getgroups getpid getppid getrandom getrlimit gettid getuid ioctl
lseek lstat madvise mkdir mmap mprotect mremap munmap nanosleep newfstatat open openat openat2 pause
poll ppoll prctl pread64 prlimit64 pwrite64 read readlink readlinkat rseq rt_sigaction
rt_sigprocmask rt_sigreturn sched_getaffinity sendmsg set_robust_list set_tid_address setgid
setgroups setresgid setresuid setuid sigaltstack stat statfs statx tgkill time umask uname wait4
write writev""".split()


@pytest.mark.checklist(113)
def test_what_is_not_listed_is_refused(bundle):
    """As the profiles of docker, podman and the CRI: a list of what is allowed."""
    bundle.process["capabilities"] = {}
    bundle.linux["seccomp"] = profile(rule(*ORDINARY, action="SCMP_ACT_ALLOW"),
                                      default="SCMP_ACT_ERRNO", defaultErrnoRet=1)
    seen = bundle.run("cwd", "syscall=keyctl", "syscall=unshare-user", "syscall=reboot", "list=/")
    assert seen["cwd"] == "/" and "probe" in seen["list=/"]
    assert seen["syscall=keyctl"] == seen["syscall=unshare-user"] == "EPERM"
    assert seen["syscall=reboot"] == "EPERM"


@pytest.mark.checklist(118)
def test_call_that_is_newer_than_the_profile(bundle):
    """Programs then use the older one."""
    bundle.linux["seccomp"] = profile(rule(*ORDINARY, action="SCMP_ACT_ALLOW"),
                                      default="SCMP_ACT_ERRNO", defaultErrnoRet=1)
    assert bundle.run("syscall=newest")["syscall=newest"] == "ENOSYS"


def test_exec_has_the_profile_too(bundle):
    bundle.linux["seccomp"] = profile(rule("personality"))
    container = bundle.start()
    seen = container.exec("seccomp", "syscall=personality-query")
    assert seen == {"seccomp": "2", "syscall=personality-query": "EPERM"}


@pytest.mark.checklist(116)
@pytest.mark.parametrize("flag", ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                                  "SECCOMP_FILTER_FLAG_TSYNC"])
def test_flags(bundle, flag):
    bundle.linux["seccomp"] = profile(rule("personality"), flags=[flag])
    assert bundle.run("syscall=personality-query")["syscall=personality-query"] == "EPERM"


NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101


class Agent:
    """A seccomp agent that answers every notification with ENOANO."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(60)
        self.state = None
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        connection, _ = self.listener.accept()
        text, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
        self.state = json.loads(text)
        with contextlib.suppress(OSError):
            while True:
                request = array.array("B", bytes(80))
                fcntl.ioctl(descriptors[0], NOTIF_RECV, request)
                identifier = struct.unpack_from("Q", request)[0]
                fcntl.ioctl(descriptors[0], NOTIF_SEND,
                            array.array("B", struct.pack("QqiI", identifier, 0, -55, 0)))
        os.close(descriptors[0])


@pytest.mark.checklist(119)
def test_listener(bundle, directory):
    agent = Agent(directory / "agent.sock")
    bundle.linux["seccomp"] = profile(rule("chmod", action="SCMP_ACT_NOTIFY"),
                                      listenerPath=str(directory / "agent.sock"),
                                      listenerMetadata="for the agent")
    assert bundle.run("syscall=chmod")["syscall=chmod"] == "ENOANO"
    assert agent.state["metadata"] == "for the agent" and agent.state["fds"] == ["seccompFd"]
    assert agent.state["state"]["id"] == bundle.id


@pytest.mark.checklist(119)
def test_listener_that_is_not_there(bundle, directory, runtime):
    bundle.linux["seccomp"] = profile(rule("chmod", action="SCMP_ACT_NOTIFY"),
                                      listenerPath=str(directory / "nobody.sock"))
    bundle.refused(verb="run")
