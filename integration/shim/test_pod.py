"""A pod through containerd's CRI and the real crictl: with our shim, and with coracle as the OCI
runtime of containerd's own shim (BinaryName)."""

import json
import pathlib

import pytest

from cri.crictl import MISSING, PROGRAM, Crictl
from lib.wait import wait_until
from shim.containerd import BUSYBOX_IMAGE

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)
HANDLERS = ("coracle", "binary")
# Runs until told, tells what it gets, ends with 42 when asked through a file.
SCRIPT = """trap 'echo got TERM; exit 7' TERM
echo started; echo problem >&2
while :; do [ -e /tmp/end ] && exit 42; sleep 0.1; done"""


class Pod:
    def __init__(self, containerd, directory, handler):
        self.crictl = Crictl(containerd.socket)
        wait_until(lambda: self.crictl.run("version", check=False).returncode == 0,
                   "the CRI answers")
        self.directory, self.logs = pathlib.Path(directory), pathlib.Path(directory) / "logs"
        self.sandbox = {"metadata": {"name": f"pod-{handler}", "namespace": "default",
                                     "uid": f"uid-{handler}", "attempt": 1},
                        "log_directory": str(self.logs), "linux": {}}
        self.id = self.crictl("runp", "--runtime", handler,
                              self._write("pod.json", self.sandbox)).strip()
        self.containers = 0

    def _write(self, name, content):
        path = self.directory / name
        path.write_text(json.dumps(content))
        return path

    def start(self, *command):
        self.containers += 1
        config = {"metadata": {"name": f"c{self.containers}"},
                  "image": {"image": BUSYBOX_IMAGE}, "command": list(command),
                  "log_path": f"c{self.containers}.log", "linux": {}}
        container = self.crictl("create", "--no-pull", self.id,
                                self._write("container.json", config),
                                self._write("pod.json", self.sandbox))
        self.crictl("start", container)
        return container

    def status(self, container):
        return self.crictl.json("inspect", container)["status"]

    def wait_exited(self, container):
        return wait_until(lambda: (status := self.status(container))["state"] ==
                          "CONTAINER_EXITED" and status, f"{container} exits")

    def remove(self):
        self.crictl("stopp", self.id)
        self.crictl("rmp", "--force", self.id)


@pytest.fixture(params=HANDLERS)
def pod(containerd, request, tmp_path):
    made = Pod(containerd, tmp_path, request.param)
    yield made
    made.remove()


def test_life_of_a_container(pod):
    container = pod.start("sh", "-c", SCRIPT)
    wait_until(lambda: "started" in pod.crictl("logs", container), "the log begins")
    assert pod.crictl("exec", "--sync", container, "echo", "inside").strip() == "inside"
    failed = pod.crictl.run("exec", "--sync", container, "sh", "-c", "exit 3", check=False)
    assert "exited with 3" in failed.stderr
    pod.crictl("stop", "--timeout", "10", container)
    status = pod.wait_exited(container)
    assert status["exitCode"] == 7
    log = pod.crictl.run("logs", container)
    assert log.stdout == "started\ngot TERM\n" and "problem" in log.stderr
    pod.crictl("rm", container)


def test_the_pod_has_a_network_of_its_own(pod):
    container = pod.start("sleep", "1000")
    address = pod.crictl.json("inspectp", pod.id)["status"]["network"]["ip"]
    inside = pod.crictl("exec", "--sync", container, "ip", "-4", "addr", "show", "eth0")
    assert address and address in inside


def test_a_missing_program_is_named(pod):
    with pytest.raises(AssertionError, match="/nonexistent.*no such file or directory"):
        pod.start("/nonexistent")


def test_a_killed_container_tells_137(pod):
    container = pod.start("sleep", "1000")
    pod.crictl("stop", "--timeout", "0", container)
    assert pod.wait_exited(container)["exitCode"] == 137


def test_a_restarted_daemon_finds_what_ran_and_how_it_ended(containerd, pod):
    running = pod.start("sh", "-c", SCRIPT)
    ended = pod.start("sh", "-c", SCRIPT)
    wait_until(lambda: "started" in pod.crictl("logs", ended), "the second one runs")
    root = pathlib.Path(f"/proc/{pod.crictl.json('inspect', ended)['info']['pid']}/root")
    containerd.kill()
    root.joinpath("tmp/end").write_text("")
    wait_until(lambda: not root.joinpath("tmp").exists(), "it ends while the daemon is down")
    containerd.start()
    wait_until(lambda: pod.crictl.run("version", check=False).returncode == 0, "its CRI answers")
    assert pod.wait_exited(ended)["exitCode"] == 42
    assert pod.status(running)["state"] == "CONTAINER_RUNNING"
    assert pod.crictl("exec", "--sync", running, "echo", "alive").strip() == "alive"
