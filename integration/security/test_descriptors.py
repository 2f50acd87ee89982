"""What of the runtime a container can reach: its descriptors, its program, itself on the way in."""

import errno
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from lib.wait import wait_until
from oci.harness import Bundle, Runtime, facts

NUMBERS = range(3, 65)
# Leaves the directory open at 3 to 9 for the program that follows.
LEAKY = ["sh", "-c", 'directory=$1; shift; exec 3<"$directory" 4<"$directory" 5<"$directory" '
         '6<"$directory" 7<"$directory" 8<"$directory" 9<"$directory"; exec "$@"', "sh"]
KINDS = ["/proc/self/fd", "/proc/thread-self/fd", "/proc/1/fd"]


def leaky(runtime, canary, *words):
    return subprocess.run([*LEAKY, canary.root, *runtime.command(*words)], check=False, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


@pytest.fixture
def container(bundle):
    return bundle.start()


@pytest.mark.vulnerable(runc="1.1.11", crun="1.8.1")
@pytest.mark.parametrize("kind", KINDS)
def test_working_directory_of_a_new_container(bundle, runtime, canary, said, kind):
    """CVE-2024-21626: WORKDIR names a descriptor that the runtime holds or has inherited."""
    for number in NUMBERS if kind == KINDS[0] else NUMBERS[::6]:
        bundle.process["cwd"] = f"{kind}/{number}"
        bundle.write("cwd", "list=.", "read=secret")
        done = leaky(runtime, canary, "run", "--bundle", bundle.path, bundle.new_container())
        said.append(done.stdout + done.stderr)
        assert done.returncode != 0 or "probe" in facts(done.stdout)["list=."], done.stdout


@pytest.mark.vulnerable(runc="1.1.11", crun="1.8.1")
@pytest.mark.parametrize("kind", KINDS)
def test_working_directory_of_exec(container, runtime, canary, said, kind):
    """CVE-2024-21626 by the way of exec."""
    for number in NUMBERS if kind == KINDS[0] else NUMBERS[::6]:
        done = leaky(runtime, canary, "exec", "--cwd", f"{kind}/{number}", container.id, "/probe",
                     "cwd", "list=.", "read=secret")
        said.append(done.stdout + done.stderr)
        assert done.returncode != 0 or "probe" in facts(done.stdout)["list=."], done.stdout


@pytest.mark.vulnerable(runc="1.1.11", crun="1.8.1")
@pytest.mark.parametrize("kind", KINDS)
def test_program_of_a_leaked_directory(bundle, container, runtime, canary, said, kind):
    """CVE-2024-21626: the program's own path goes through a descriptor."""
    for number in NUMBERS if kind == KINDS[0] else NUMBERS[::6]:
        program = f"{kind}/{number}/bin/tool"
        bundle.process["args"] = [program, "cwd"]
        bundle.write()
        done = leaky(runtime, canary, "run", "--bundle", bundle.path, bundle.new_container())
        said.append(done.stdout + done.stderr)
        assert done.returncode != 0
        assert leaky(runtime, canary, "exec", container.id, program, "cwd").returncode != 0


def test_inherited_descriptors_end_at_the_program(bundle, container, runtime, canary):
    """Only what was asked for is passed on."""
    bundle.write("fds")
    done = leaky(runtime, canary, "run", "--bundle", bundle.path, bundle.new_container())
    assert facts(done.stdout)["fds"] == [0, 1, 2]
    assert facts(leaky(runtime, canary, "exec", container.id, "/probe",
                       "fds").stdout)["fds"] == [0, 1, 2]


@pytest.mark.vulnerable(runc="1.1.1 1.1.4 1.1.5 1.1.11 1.3.2")
def test_hooks_inherit_no_descriptor(bundle, runtime, canary, directory):
    log = directory / "log"
    script = f"ls /proc/self/fd >> {log}; ls -l /proc/self/fd >> {log}.long"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", script]}
    bundle.spec["hooks"] = {"createRuntime": [hook], "createContainer": [hook]}
    bundle.write("exit=0")
    done = leaky(runtime, canary, "run", "--bundle", bundle.path, bundle.new_container())
    assert done.returncode == 0, done.stderr
    assert str(canary.root) not in (directory / "log.long").read_text()
    assert {int(word) for word in log.read_text().split()} <= {0, 1, 2, 3}  # 3 is ls's own


@pytest.mark.vulnerable(crun="1.8.1")
def test_foreign_listen_fds_are_not_ours(bundle, runtime, canary):
    """sd_listen_fds(3): the descriptors belong to the process that LISTEN_PID names; a daemon that
    starts us has its own from 3 on, and its environment is ours."""
    bundle.write("fds", "env")
    command = ["env", "LISTEN_FDS=2", f"LISTEN_PID={os.getpid()}", *LEAKY, str(canary.root),
               *runtime.command("run", "--bundle", bundle.path, bundle.new_container())]
    done = subprocess.run(command, check=False, timeout=60, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    seen = facts(done.stdout)
    assert seen["fds"] == [0, 1, 2]
    assert not [entry for entry in seen["env"] if entry.startswith("LISTEN_")]


@pytest.fixture
def copied(runtime_program, directory, probe):
    """A runtime of its own, which a test may lose, with a bundle for it."""
    programs = directory / "bin"
    programs.mkdir()
    program = pathlib.Path(shutil.copy(os.path.realpath(runtime_program), programs))
    copy = Runtime(str(program), directory)
    made = Bundle(copy, directory / "own", probe, f"/coracle-test-{os.getpid()}")
    yield program, made
    copy.program = runtime_program  # this one may be lost
    left = made.close()
    assert not left, left


def identity(path):
    return path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest()


def unless_busy(runtime, *words):
    """The kernel counts a writer before it sees that the mount is read-only: for that moment, and
    it is one of very many, execve(2) of the program says ETXTBSY."""
    while True:
        try:
            return runtime(*words, code=None)
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise


@pytest.mark.parametrize("entry", ["link", "/proc/self/exe"])
@pytest.mark.parametrize("way", ["exec", "run"])
def test_own_program_is_not_overwritten(copied, way, entry):
    """CVE-2019-5736: a container that is the runtime's program for a moment, and another process in
    it that keeps that open until it may be written."""
    program, bundle = copied
    before = identity(program)
    if entry == "link":
        (bundle.rootfs / "entry").symlink_to("/proc/self/exe")
    word = "/entry" if entry == "link" else entry
    container = bundle.start("overwrite")
    wait_until(lambda: "overwriting" in container.text(), "it is at work")
    namespace = f"/proc/{container.pid()}/ns/pid"
    for _ in range(10):
        if way == "exec":
            unless_busy(bundle.runtime, "exec", container.id, word, "--version")
        else:
            bundle.namespaces({"type": "pid", "path": namespace}, "mount")
            bundle.process["args"] = [word, "--version"]
            bundle.write()
            unless_busy(bundle.runtime, "run", "--bundle", bundle.path, bundle.new_container())
        assert "written" not in container.text()
    assert identity(program) == before


def hunted(bundle, container, runtime, count=30):
    """What a hunter in the container has found of the processes that came in."""
    wait_until(lambda: "hunting" in container.text(), "it hunts")
    for _ in range(count):
        done = runtime("exec", container.id, "/probe", "exit=0", code=None)
        assert done.returncode in (0, 128 + signal.SIGKILL), done.stderr
    return {key: value for key, value in container.facts().items() if key.startswith("found")}


def test_process_on_its_way_in_shows_nothing(bundle, runtime, canary):
    """CVE-2016-9962: neither descriptors nor program nor root of a process that enters."""
    container = bundle.start(f"hunt={canary.root}/secret")
    assert hunted(bundle, container, runtime) == {}


def test_process_on_its_way_in_shows_nothing_to_a_tracer(bundle, runtime, canary):
    """The same for a container that may trace every process of its PID namespace: whoever comes
    into it has left the host's files behind before."""
    ptrace = ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"]
    bundle.process["capabilities"] = {name: ptrace for name in
                                      ("bounding", "effective", "permitted")}
    container = bundle.start(f"hunt={canary.root}/secret")
    found = hunted(bundle, container, runtime)
    assert not [key for key in found if key.startswith(("found-root", "found-exe-writable"))], found
