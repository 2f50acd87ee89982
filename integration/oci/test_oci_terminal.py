"""process.terminal: over a console socket, and in the foreground of the caller's terminal."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios

import pytest

from lib.wait import wait_until
from oci.harness import Container, facts, read_all


@pytest.fixture(autouse=True)
def terminal(bundle):
    bundle.process["terminal"] = True


def resize(descriptor, rows, columns):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def create(bundle, console_socket, *words):
    return bundle.create(*words, options=["--console-socket", console_socket.path])


@pytest.mark.checklist(35, 77)
def test_console_socket(bundle, console_socket):
    container = create(bundle, console_socket, "tty", "stat=/dev/console", "ids")
    master = console_socket.master()
    assert os.isatty(master)
    container.start()
    seen = facts(read_all(master).replace("\r", ""))
    assert seen["tty"]["isatty"] == [True, True, True]
    assert seen["tty"]["controlling"] and seen["tty"]["leader"]
    assert seen["tty"]["name"].startswith("/dev/pts/") or seen["tty"]["name"] == "/dev/console"
    assert seen["stat=/dev/console"]["type"] == "c"


@pytest.mark.checklist(36)
def test_console_size(bundle, console_socket):
    bundle.process["consoleSize"] = {"height": 33, "width": 101}
    container = create(bundle, console_socket, "tty")
    master = console_socket.master()
    container.start()
    assert facts(read_all(master).replace("\r", ""))["tty"]["size"] == [33, 101]


@pytest.mark.checklist(35)
def test_terminal_belongs_to_the_user(bundle, console_socket):
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    container = create(bundle, console_socket, "open-rw=/dev/stdout", "open-rw=/dev/tty")
    master = console_socket.master()
    container.start()
    assert set(facts(read_all(master).replace("\r", "")).values()) == {"0"}


def test_input_goes_in(bundle, console_socket):
    container = create(bundle, console_socket, "print=ready", "cat")
    master = console_socket.master()
    container.start()
    wait_until(lambda: b"ready" in os.read(master, 100), "the program reads")
    os.write(master, b"a line\n\x04")
    assert read_all(master).replace("\r", "") == "a line\na line\n"
    container.wait()


def test_long_path_of_the_socket(bundle, directory, runtime):
    from oci.harness import ConsoleSocket
    deep = directory / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    before = os.getcwd()
    os.chdir(deep)
    try:
        console = ConsoleSocket("s")
    finally:
        os.chdir(before)
    bundle.write("tty")
    name = bundle.new_container()
    done = runtime("create", "--bundle", bundle.path, "--console-socket", deep / "s", name,
                   code=None)
    if done.returncode == 0:
        os.close(console.master())
    else:
        assert runtime.name != "coracle", done.stderr
    console.close()


@pytest.mark.checklist(35)
def test_socket_that_is_not_there(bundle, directory, runtime):
    bundle.write("tty")
    name = bundle.new_container()
    message = runtime.fails("create", "--bundle", bundle.path, "--console-socket",
                            directory / "nosuch", name)
    assert "nosuch" in message and not bundle.leftovers(name)


def test_terminal_without_socket(bundle, runtime):
    assert bundle.refused()


def test_socket_without_terminal(bundle, console_socket, runtime):
    bundle.process["terminal"] = False
    bundle.write("tty")
    name = bundle.new_container()
    runtime.fails("create", "--bundle", bundle.path, "--console-socket", console_socket.path, name)


class Foreground:
    """`run` of a bundle at a terminal of ours."""

    def __init__(self, bundle, runtime, *words, exec_in=None):
        self.near, far = pty.openpty()
        resize(self.near, 20, 70)
        if exec_in is None:
            bundle.write(*words)
            name = bundle.new_container()
            command = runtime.command("run", "--bundle", bundle.path, name)
            self.container = Container(runtime, name, None)
        else:
            command = runtime.command("exec", "--tty", exec_in.id, "/probe", *words)
        self.before = termios.tcgetattr(far)
        self.process = subprocess.Popen(command, stdin=far, stdout=far, stderr=far,
                                        start_new_session=True)
        self.far = far
        self.shown = ""

    def wait_for(self, text):
        while text not in self.shown:
            self.shown += os.read(self.near, 65536).decode()

    def end(self):
        code = self.process.wait(60)
        after = termios.tcgetattr(self.far)
        os.close(self.far)
        self.shown += read_all(self.near)
        return code, after


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_foreground(bundle, runtime, verb):
    holder = None
    if verb == "exec":
        bundle.process["terminal"] = False
        holder = bundle.start()
    at = Foreground(bundle, runtime, "tty", "print=ready", "cat", "exit=4", exec_in=holder)
    at.wait_for("ready")
    os.write(at.near, b"typed\r\x04")
    code, after = at.end()
    assert code == 4
    assert after == at.before, "the caller's terminal is as it was"
    seen = facts(at.shown.replace("\r", ""))["tty"]
    assert seen["isatty"] == [True, True, True] and seen["controlling"]
    assert at.shown.replace("\r", "").endswith("typed\ntyped\n")


@pytest.mark.deviates("crun")
def test_foreground_takes_the_size_of_the_callers_window(bundle, runtime):
    at = Foreground(bundle, runtime, "print=ready", "cat", "tty")
    at.wait_for("ready")
    resize(at.near, 50, 132)
    os.killpg(at.process.pid, signal.SIGWINCH)
    # The line that follows is read after the new size has come.
    os.write(at.near, b"x\r")
    at.wait_for("x\r\nx")
    os.write(at.near, b"\x04")
    at.end()
    assert facts(at.shown.replace("\r", ""))["tty"]["size"] == [50, 132]


def test_foreground_does_not_lose_output(bundle, runtime):
    at = Foreground(bundle, runtime, "lines=20000,number")
    try:
        while "number 20000" not in at.shown:
            at.shown += os.read(at.near, 65536).decode()
    finally:
        at.end()
    lines = [line for line in at.shown.replace("\r", "").splitlines() if line]
    assert lines == [f"number {i}" for i in range(1, 20001)]
