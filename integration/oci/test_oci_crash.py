"""delete after whatever may have happened: it ends in bounded time, and leaves nothing."""

import contextlib
import ctypes
import errno
import os
import signal
import struct
import subprocess
import threading

import pytest

from lib.wait import wait_until
from oci.harness import alive

pytestmark = [pytest.mark.coracle, pytest.mark.checklist(135)]


def state_file(bundle, container):
    return bundle.runtime.root / container.id / "state.json"


@pytest.mark.parametrize("text", ["", "{", '{"ociVersion": "1.0.2", "id"', "[]", "\x00" * 100])
def test_damaged_state(bundle, runtime, text):
    container = bundle.start()
    pid = container.pid()
    state_file(bundle, container).write_text(text)
    runtime.fails("delete", container.id)
    runtime.fails("state", container.id)
    assert alive(pid)
    done = runtime("delete", "--force", container.id)
    assert "state.json" in done.stderr
    assert not alive(pid) and not bundle.leftovers(container.id)


def test_damaged_state_and_configuration(bundle, runtime):
    container = bundle.start()
    pid = container.pid()
    state_file(bundle, container).write_text("{")
    (runtime.root / container.id / "config.json").unlink()
    runtime("delete", "--force", container.id)
    assert not (runtime.root / container.id).exists()
    os.kill(pid, signal.SIGKILL)  # nothing told of it any more
    wait_until(lambda: not alive(pid), "the process is gone")
    bundle.cgroup.rmdir()


def test_no_state(bundle, runtime):
    (runtime.root / "x").mkdir(parents=True)
    assert "does not exist" in runtime.fails("state", "x")
    assert runtime("list", "-q").stdout == ""
    runtime("delete", "x")
    assert not (runtime.root / "x").exists()


def test_lost_configuration_of_a_container_with_poststop(bundle, runtime):
    bundle.spec["hooks"] = {"poststop": [{"path": "/bin/true"}]}
    container = bundle.start()
    (runtime.root / container.id / "config.json").unlink()
    done = runtime("delete", "--force", container.id)
    assert "poststop" in done.stderr
    assert not bundle.leftovers(container.id)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_cgroup_and_process_are_gone(bundle, runtime, force):
    container = bundle.start()
    container.kill("KILL")
    container.wait()
    bundle.cgroup.rmdir()
    assert container.status() == "stopped"
    runtime("delete", *force, container.id)
    assert not bundle.leftovers(container.id)


def test_killed_runtime_in_a_hook(bundle, runtime, directory):
    """SIGKILL while `create` waits: the container process ends by itself, the rest is deleted."""
    os.mkfifo(directory / "fifo")
    bundle.spec["hooks"] = {"createRuntime": [
        {"path": "/bin/sh", "args": ["sh", "-c", f"echo $$ > {directory}/fifo; exec sleep 1000"]}]}
    bundle.write("sleep")
    name = bundle.new_container()
    with subprocess.Popen(runtime.command("create", "--bundle", bundle.path, name),
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as creation:
        hook = int((directory / "fifo").read_text())
        creation.kill()
    runtime("delete", "--force", name)
    assert not bundle.leftovers(name)
    os.kill(hook, signal.SIGKILL)  # the host's, and nobody's


@pytest.mark.checklist(133)
def test_kill_of_a_paused_container(bundle, runtime):
    container = bundle.start()
    pid = container.pid()
    runtime("pause", container.id)
    container.kill("TERM")  # stays pending, and does not hang
    assert container.status() == "paused"
    container.kill("KILL")
    wait_until(lambda: not alive(pid), "SIGKILL reaches a frozen process")
    container.delete()


def test_kill_all_of_a_paused_container(bundle, runtime):
    container = bundle.start()
    runtime("pause", container.id)
    container.kill("KILL", "--all")
    container.wait()
    container.delete()


class StuckFileSystem:
    """FUSE that answers all but lookups: a process that has asked for a name waits for the answer
    uninterruptibly, also when it is killed (fuse(4))."""
    LOOKUP, GETATTR, INIT = 1, 3, 26
    DIRECTORY = struct.pack("QII6Q10I", 1000, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0,
                            4096, 0)

    def __init__(self, target):
        self.target, self.asked, self.waiting = target, threading.Event(), None
        self.device = os.open("/dev/fuse", os.O_RDWR)
        self.libc = ctypes.CDLL(None, use_errno=True)
        data = f"fd={self.device},rootmode=40000,user_id=0,group_id=0".encode()
        assert self.libc.mount(b"stuck", str(target).encode(), b"fuse", 0, data) == 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):  # ENODEV: unmounted
            while request := os.read(self.device, 1 << 20):
                _, opcode, unique = struct.unpack_from("IIQ", request)
                if opcode == self.LOOKUP:
                    self.waiting = unique
                    self.asked.set()
                elif opcode == self.INIT:
                    readahead = struct.unpack_from("I", request, 48)[0]
                    self.answer(unique, struct.pack("IIIIHHIIHHI28x", 7, 31, readahead, 0, 0, 0,
                                                    4096, 1, 1, 0, 0))
                elif opcode == self.GETATTR:
                    self.answer(unique, self.DIRECTORY)
                else:
                    self.answer(unique, b"", errno.ENOSYS)

    def answer(self, unique, body, error=0):
        os.write(self.device, struct.pack("IiQ", 16 + len(body), -error, unique) + body)

    def release(self):
        self.answer(self.waiting, b"", errno.ENOENT)

    def close(self):
        self.libc.umount2(str(self.target).encode(), 2)  # MNT_DETACH
        os.close(self.device)


@pytest.mark.checklist(133)
@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="this host has no FUSE")
@pytest.mark.parametrize("which", ["first", "further"])
def test_a_process_that_cannot_die(bundle, runtime, directory, which):
    (directory / "stuck").mkdir()
    stuck = StuckFileSystem(directory / "stuck")
    try:
        bundle.mount("/data", type="none", source=str(directory / "stuck"), options=["bind"])
        if which == "first":
            container = bundle.start("stat=/data/x")
            pid = container.pid()
        else:  # no PID namespace ends it with the first process
            bundle.without_namespace("pid")
            container = bundle.start()
            pid_file = directory / "pid"
            runtime.detached("exec", "--detach", "--pid-file", pid_file, container.id, "/probe",
                             "stat=/data/x")
            pid = int(pid_file.read_text())
        assert stuck.asked.wait(60)
        runtime("kill", container.id, "KILL")
        message = runtime.fails("delete", "--force", container.id)
        assert f"process {pid} does not die" in message and "state is D" in message
        assert "fuse" in message or "request_wait_answer" in message
        assert (runtime.root / container.id).exists()
        stuck.release()
        runtime("delete", "--force", container.id)
        assert not bundle.leftovers(container.id)
    finally:
        stuck.close()
