"""podman of a user without privileges, with coracle as its runtime."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from images.builder import write_docker_archive
from images.catalog import busybox
from lib.user import SUBORDINATE, UID, User
from lib.wait import wait_until
from podman.test_podman import IMAGE, Podman, in_terminal

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="making a user needs root"),
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
    pytest.mark.skipif(shutil.which("newuidmap") is None, reason="no newuidmap(1)")]

SLEEP = "trap 'exit 9' TERM; while :; do sleep 0.2; done"


class UserPodman(Podman):
    def __init__(self, directory, runtime, user):
        super().__init__(directory, runtime)
        self._prefix = [*user.prefix, *self._prefix]


@pytest.fixture(scope="module")
def podman(build_dir):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="coracle-podman-"))
    directory.chmod(0o755)
    runtime = os.environ.get("RUNTIME") or build_dir / "bin/coracle"
    write_docker_archive(directory / "busybox.tar", {IMAGE: busybox()})
    user = User(directory)
    podman = UserPodman(directory, shutil.which(str(runtime)) or runtime, user)
    podman("load", "-i", directory / "busybox.tar")
    yield podman
    podman.run("rm", "--all", "--force", "--time", "0")
    podman.run("system", "migrate")  # ends the process that keeps its namespaces
    user.close()
    shutil.rmtree(directory)


@pytest.fixture
def sleeper(podman):
    name = podman("run", "--detach", "--network", "none", IMAGE, "sh", "-c", SLEEP)
    yield name
    podman.run("rm", "--force", "--time", "0", name)


def test_run(podman):
    result = podman.run("run", "--rm", "--network", "none", IMAGE, "sh", "-c",
                        "id -u; cat /proc/self/uid_map; echo err >&2; exit 6")
    words = result.stdout.split()
    assert words[:4] == ["0", "0", str(UID), "1"] and words[4:6] == ["1", str(SUBORDINATE)]
    assert result.returncode == 6 and "err\n" in result.stderr
    assert podman("ps", "--all", "--quiet") == ""


def test_run_on_a_terminal(podman):
    command = podman.command("run", "--rm", "-it", "--network", "none", IMAGE, "sh", "-c",
                             "tty; read line; echo got $line; exit 4")
    output, code = in_terminal(command, (b"\n", b"typed\n"))
    assert "/dev/pts/0" in output or "/dev/console" in output
    assert "got typed" in output and code == 4


def test_user_and_files(podman):
    shown = podman("run", "--rm", "--network", "none", "--user", "1000:1000", IMAGE, "sh", "-c",
                   "touch /tmp/file; stat -c '%u %g' /tmp/file")
    assert shown == "1000 1000"


def test_user_namespace_of_its_own(podman):
    shown = podman("run", "--rm", "--network", "none", "--userns", "keep-id", IMAGE, "id", "-u")
    assert shown == str(UID)


def test_exec(podman, sleeper):
    assert podman("exec", sleeper, "echo", "inside") == "inside"
    assert podman("exec", "--user", "1000", sleeper, "id", "-u") == "1000"
    assert podman.run("exec", sleeper, "sh", "-c", "exit 3").returncode == 3
    assert podman.run("exec", sleeper, "/nonexistent").returncode == 127
    output, code = in_terminal(podman.command("exec", "-it", sleeper, "sh", "-c",
                                              "tty && echo yes; exit 5"))
    assert "yes" in output and code == 5


def test_stop_start_and_remove(podman, sleeper):
    podman("stop", "--time", "60", sleeper)
    assert podman("inspect", "--format", "{{.State.ExitCode}}", sleeper) == "9"
    podman("start", sleeper)
    assert podman.status(sleeper) == "running"
    podman("kill", sleeper)
    wait_until(lambda: podman.status(sleeper) == "exited", "the end")
    podman("rm", sleeper)
    assert podman("ps", "--all", "--quiet") == ""


def test_nothing_is_left(podman):
    podman("run", "--rm", "--network", "none", IMAGE, "true")
    shown = subprocess.run(["ps", "-eo", "user:20,stat,args"], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    alive = [line for line in shown if str(UID) in line and line.split()[1][0] != "Z"]
    assert not [line for line in alive if "conmon" in line]
    # "@seccomp" is a cache
    assert not list(pathlib.Path(podman.directory).glob("run/coracle/[!@]*"))
