"""`ctr` of containerd with our shim: one container at a time, by its runtime name."""

import os
import pathlib
import select
import signal
import subprocess

import pytest

from lib.wait import wait_until
from shim.containerd import BUSYBOX_IMAGE, SHIM

OPTIONS = ("--runtime", SHIM)


def run(containerd, name, *command, flags=(), check=True):
    return containerd.ctr("run", "--rm", *OPTIONS, *flags, BUSYBOX_IMAGE, name, *command,
                          check=check)


@pytest.fixture
def container(containerd, request):
    """A running container; the test's commands go to ctr("task", ...)."""
    name = request.node.name.split("[")[0].replace("_", "-")
    containerd.ctr("run", "--detach", *OPTIONS, BUSYBOX_IMAGE, name, "sh", "-c",
                   "trap 'exit 7' TERM; touch /tmp/ready; while :; do sleep 0.1; done")
    wait_until(lambda: containerd.ctr("task", "exec", "--exec-id", "ready", name, "test", "-e",
                                      "/tmp/ready", check=False).returncode == 0, "it is ready")
    yield name
    containerd.ctr("task", "kill", "--signal", "SIGKILL", name, check=False)
    wait_until(lambda: containerd.ctr("task", "rm", "--force", name, check=False) and
               name not in containerd.ctr("task", "ls").stdout, f"{name} is gone")
    containerd.ctr("container", "rm", name, check=False)


def test_output_and_exit_code(containerd):
    result = run(containerd, "output", "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    # ctr may have a warning of its own on stderr.
    assert (result.stdout, result.stderr.splitlines()[-1], result.returncode) == ("out\n", "err", 3)


def test_large_output_is_complete(containerd):
    result = run(containerd, "large", "seq", "1", "200000")
    assert result.stdout.splitlines() == [str(number) for number in range(1, 200001)]


def test_stdin_reaches_the_container_and_ends(containerd):
    result = containerd.ctr("run", "--rm", *OPTIONS, BUSYBOX_IMAGE, "stdin", "cat",
                            input="one\ntwo\n")
    assert result.stdout == "one\ntwo\n"


def test_missing_program_is_named(containerd):
    result = run(containerd, "missing", "/nonexistent", check=False)
    assert result.returncode != 0
    assert "/nonexistent" in result.stderr and "no such file or directory" in result.stderr


def test_exec(containerd, container):
    done = containerd.ctr("task", "exec", "--exec-id", "e1", container, "sh", "-c",
                          "echo inside; exit 4", check=False)
    assert (done.stdout, done.returncode) == ("inside\n", 4)


def test_exec_of_a_missing_program(containerd, container):
    done = containerd.ctr("task", "exec", "--exec-id", "e2", container, "/nonexistent",
                          check=False)
    assert done.returncode != 0
    assert "/nonexistent" in done.stderr and "no such file or directory" in done.stderr


def test_kill_runs_the_handler(containerd, container):
    containerd.ctr("task", "kill", "--signal", "SIGTERM", container)

    def stopped():
        return "STOPPED" in containerd.ctr("task", "ls").stdout

    wait_until(stopped, "the container stops")
    assert "exit with non-zero exit code 7" in containerd.ctr("task", "rm", container).stderr


def test_pause_and_resume(containerd, container):
    containerd.ctr("task", "pause", container)
    assert f"{container}" in containerd.ctr("task", "ls").stdout
    assert "PAUSED" in containerd.ctr("task", "ls").stdout
    containerd.ctr("task", "resume", container)
    assert "PAUSED" not in containerd.ctr("task", "ls").stdout


def test_ps_lists_the_processes(containerd, container):
    lines = containerd.ctr("task", "ps", container).stdout.splitlines()
    assert len(lines) >= 2


def test_metrics(containerd, container):
    assert "METRIC" in containerd.ctr("task", "metrics", container).stdout


def test_terminal(containerd):
    # script(1) gives ctr a terminal of its own.
    command = " ".join(["ctr", "--address", str(containerd.socket), "--namespace", "k8s.io", "run",
                        "--rm", "--tty", *OPTIONS, BUSYBOX_IMAGE, "tty", "sh", "-c",
                        "'tty; stty size; exit 5'"])
    result = containerd.space.run("script", "--quiet", "--return", "--command", command,
                                  "/dev/null", check=False, timeout=60)
    assert result.returncode == 5
    assert "/dev/pts/0" in result.stdout or "/dev/console" in result.stdout


def test_a_killed_shim_leaves_nothing(containerd):
    """containerd then calls our `delete`: the container ends, its mounts and socket go."""
    name = "orphan"
    containerd.ctr("run", "--detach", *OPTIONS, BUSYBOX_IMAGE, name, "sleep", "1000")
    pid = int(next(line.split()[1] for line in containerd.ctr("task", "ls").stdout.splitlines()
                   if line.startswith(name)))
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    shim = int(status.split("PPid:")[1].split()[0])
    sockets = set(containerd.space.run("ls", "/run/containerd/s").stdout.split())
    os.kill(shim, signal.SIGKILL)
    wait_until(lambda: not pathlib.Path(f"/proc/{pid}").exists(), "the container ends")
    wait_until(lambda: name not in containerd.ctr("task", "ls").stdout, "the task is gone")
    wait_until(lambda: not any(name in mount for mount in containerd.space.mounts()),
               "its mounts are gone")
    left = set(containerd.space.run("ls", "/run/containerd/s").stdout.split())
    assert len(sockets - left) == 1
    containerd.ctr("container", "rm", name)


def test_events_tell_the_life_in_order(containerd):
    client = subprocess.Popen([*containerd.space.prefix, "ctr", "--address", containerd.socket,
                               "--namespace", "k8s.io", "events"], stdout=subprocess.PIPE,
                              text=True)
    try:
        seen = []

        def topics():
            while select.select([client.stdout], [], [], 0)[0]:
                words = client.stdout.readline().split()
                seen.extend(word for word in words if word.startswith("/tasks/"))
            return seen

        # ctr says nothing when it listens: a first container shows that it does.
        wait_until(lambda: run(containerd, "first", "true") and "/tasks/delete" in topics(),
                   "ctr hears events")
        seen.clear()
        run(containerd, "second", "true")
        wait_until(lambda: "/tasks/delete" in topics(), "the last event")
        assert seen == ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]
    finally:
        client.kill()
        client.wait()
