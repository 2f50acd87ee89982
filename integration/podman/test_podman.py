"""podman and conmon with coracle as their runtime: a caller that knows nothing of us."""

import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import time

import pytest

from images.builder import write_docker_archive
from images.catalog import busybox
from lib.wait import wait_until

CONTROLLERS = pathlib.Path("/sys/fs/cgroup/cgroup.controllers")
HAVE = CONTROLLERS.read_text().split() if CONTROLLERS.exists() else []
pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(not {"memory", "pids"} <= set(HAVE),
                       reason="cgroup v2 at /sys/fs/cgroup lacks the controllers memory or pids"),
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed")]

IMAGE = "localhost/busybox:latest"


class Podman:
    def __init__(self, directory, runtime):
        self.directory = directory
        self._prefix = [
            "podman", "--root", f"{directory}/root", "--runroot", f"{directory}/run", "--tmpdir",
            f"{directory}/tmp", "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs",
            "--events-backend", "file", "--runtime", str(runtime)]

    def command(self, *arguments):
        return [*self._prefix, *map(str, arguments)]

    def run(self, *arguments, **options):
        return subprocess.run(self.command(*arguments), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False, **options)

    def __call__(self, *arguments):
        result = self.run(*arguments)
        assert result.returncode == 0, f"podman {arguments}: {result.stdout}{result.stderr}"
        return result.stdout.strip()

    def status(self, name):
        return self("inspect", "--format", "{{.State.Status}}", name)


def in_terminal(command, until=None):
    """What the command prints on a terminal of its own, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    output, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            try:
                output += os.read(terminal, 65536)
            except OSError:  # EIO: the other side is closed
                break
            if until and until[0] in output:
                os.write(terminal, until[1])
                until = None
    os.close(terminal)
    return output.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture(scope="module")
def podman(tmp_path_factory, build_dir):
    directory = tmp_path_factory.mktemp("podman")
    runtime = os.environ.get("RUNTIME") or build_dir / "bin/coracle"
    podman = Podman(directory, shutil.which(str(runtime)) or runtime)
    write_docker_archive(directory / "busybox.tar", {IMAGE: busybox()})
    podman("load", "-i", directory / "busybox.tar")
    yield podman
    podman.run("rm", "--all", "--force", "--time", "0")
    subprocess.run(["umount", directory / "root/overlay"], check=False, capture_output=True)


@pytest.fixture
def sleeper(podman):
    name = f"sleeper-{time.monotonic_ns()}"
    script = "trap 'exit 9' TERM; while :; do sleep 0.2; done"
    podman("run", "--detach", "--name", name, "--network", "none", IMAGE, "sh", "-c", script)
    yield name
    podman.run("rm", "--force", "--time", "0", name)


def test_run_prints_and_returns_the_exit_code(podman):
    result = podman.run("run", "--rm", "--network", "none", IMAGE, "sh", "-c",
                        "echo out; echo err >&2; exit 6")
    assert (result.stdout, result.returncode) == ("out\n", 6)
    assert "err\n" in result.stderr
    assert podman("ps", "--all", "--quiet") == ""


def test_run_reads_stdin(podman):
    result = subprocess.run(podman.command("run", "--rm", "-i", "--network", "none", IMAGE, "cat"),
                            input="from stdin\n", capture_output=True, text=True, check=True)
    assert result.stdout == "from stdin\n"


def test_run_on_a_terminal(podman):
    command = podman.command("run", "--rm", "-it", "--network", "none", IMAGE, "sh", "-c",
                             "tty; stty size; read line; echo got $line; exit 4")
    output, code = in_terminal(command, (b"\n", b"typed\n"))
    assert "/dev/pts/0" in output or "/dev/console" in output
    assert "got typed" in output
    assert code == 4


def test_command_that_does_not_exist(podman):
    result = podman.run("run", "--rm", "--network", "none", IMAGE, "/nonexistent")
    assert result.returncode == 127  # podman reads this out of the runtime's words
    result = podman.run("run", "--rm", "--network", "none", IMAGE, "/etc/passwd")
    assert result.returncode == 126


def test_exec(podman, sleeper):
    assert podman("exec", sleeper, "echo", "inside") == "inside"
    assert podman.run("exec", sleeper, "sh", "-c", "exit 3").returncode == 3
    assert podman("exec", "--user", "1000", "--workdir", "/tmp", "--env", "A=b", sleeper, "sh",
                  "-c", "echo $(id -u) $(pwd) $A") == "1000 /tmp b"
    assert podman.run("exec", sleeper, "/nonexistent").returncode == 127


def test_exec_on_a_terminal(podman, sleeper):
    output, code = in_terminal(podman.command("exec", "-it", sleeper, "sh", "-c",
                                              "tty && echo yes; exit 5"))
    assert "yes" in output and code == 5


def test_exec_detached(podman, sleeper):
    podman("exec", "--detach", sleeper, "sh", "-c", "echo made > /made; sleep 100")
    wait_until(lambda: podman.run("exec", sleeper, "cat", "/made").stdout == "made\n", "the file")


def test_pause_and_resume(podman, sleeper):
    podman("pause", sleeper)
    assert podman.status(sleeper) == "paused"
    assert podman.run("exec", sleeper, "true").returncode != 0
    podman("unpause", sleeper)
    assert podman.status(sleeper) == "running"
    assert podman("exec", sleeper, "echo", "on") == "on"


def test_stop_start_and_remove(podman, sleeper):
    podman("stop", "--time", "60", sleeper)
    assert podman("inspect", "--format", "{{.State.ExitCode}}", sleeper) == "9"
    podman("start", sleeper)
    assert podman.status(sleeper) == "running"
    podman("kill", sleeper)
    wait_until(lambda: podman.status(sleeper) == "exited", "the end")
    podman("rm", sleeper)
    assert sleeper not in podman("ps", "--all", "--format", "{{.Names}}")


def test_default_pids_limit(podman, sleeper):
    limit = json.loads(podman("inspect", sleeper))[0]["HostConfig"]["PidsLimit"]
    assert limit > 0
    assert podman("exec", sleeper, "cat", "/sys/fs/cgroup/pids.max") == str(limit)


def test_limits(podman):
    shown = podman("run", "--rm", "--network", "none", "--memory", "64m", "--cpus", "0.5",
                   "--pids-limit", "99", IMAGE, "sh", "-c",
                   "cd /sys/fs/cgroup; cat memory.max cpu.max pids.max")
    assert shown.split() == [str(64 << 20), "50000", "100000", "99"]


def test_update_and_statistics(podman, sleeper):
    shown = podman("stats", "--no-stream", "--format", "{{.PIDs}}", sleeper)
    assert int(shown) >= 1


def test_out_of_memory(podman):
    name = f"hog-{time.monotonic_ns()}"
    result = podman.run("run", "--name", name, "--network", "none", "--memory", "32m",
                        "--memory-swap", "32m", IMAGE, "tail", "/dev/zero")
    assert result.returncode == 137
    podman("rm", name)


def test_top_and_logs(podman, sleeper):
    assert "sleep" in podman("top", sleeper, "args")
    podman("exec", sleeper, "sh", "-c", "echo logged > /proc/1/fd/1")
    wait_until(lambda: "logged" in podman("logs", sleeper), "the line")


def test_capabilities_and_read_only_root(podman):
    shown = podman("run", "--rm", "--network", "none", "--cap-drop", "all", "--read-only", IMAGE,
                   "sh", "-c", "grep CapEff /proc/self/status; touch /x 2>&1; true")
    assert "0000000000000000" in shown and "Read-only" in shown


def test_nothing_is_left(podman):
    before = set(pathlib.Path("/sys/fs/cgroup").rglob("libpod-*"))
    podman("run", "--rm", "--network", "none", IMAGE, "true")
    assert set(pathlib.Path("/sys/fs/cgroup").rglob("libpod-*")) <= before
