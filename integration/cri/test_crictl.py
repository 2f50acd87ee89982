"""The daemon through the real crictl: what people type."""

import json
import subprocess

import pytest

from cri.crictl import MISSING, PROGRAM
from cri.pods import image
from lib.wait import wait_until

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)


def write(path, document):
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def pod_file(tmp_path):
    return write(tmp_path / "pod.json", {
        "metadata": {"name": "web", "uid": "web-1", "namespace": "default", "attempt": 0},
        "hostname": "web", "log_directory": str(tmp_path / "logs"), "labels": {"app": "web"},
        "linux": {}})


@pytest.fixture
def container_file(tmp_path):
    script = "trap 'exit 3' TERM; echo serving; while :; do sleep 0.1; done"
    return write(tmp_path / "container.json", {
        "metadata": {"name": "server"}, "image": {"image": image()},
        "command": ["sh", "-c", script], "log_path": "server.log", "linux": {}})


def test_version_and_info(crictl, daemon):
    assert f"RuntimeName:  {daemon.runtime_name}" in crictl("version")
    conditions = crictl.json("info")["status"]["conditions"]
    ready = {condition["type"]: condition["status"] for condition in conditions}
    assert ready["RuntimeReady"] and ready["NetworkReady"]


def test_a_pod_from_pull_to_removal(crictl, pod_file, container_file):
    crictl("pull", image())
    assert image().rsplit(":", 1)[0] in crictl("images")
    pod = crictl("runp", pod_file)
    container = crictl("create", pod, container_file, pod_file)
    assert crictl.json("inspect", container)["status"]["state"] == "CONTAINER_CREATED"
    crictl("start", container)
    assert crictl("pods", "-q", "--label", "app=web") == pod
    assert crictl("ps", "-q") == container

    wait_until(lambda: crictl("logs", container) == "serving", "the log")
    assert crictl("exec", "-s", container, "hostname") == "web"
    inspected = crictl.json("inspect", container)
    assert inspected["status"]["state"] == "CONTAINER_RUNNING"
    assert inspected["info"]["pid"] > 1
    assert crictl.json("inspectp", pod)["status"]["network"]["ip"].startswith("10.")
    stats = crictl.json("stats")["stats"]
    assert [item["attributes"]["id"] for item in stats] == [container]
    assert crictl.json("statsp")["stats"][0]["attributes"]["id"] == pod

    crictl("stop", "--timeout", "10", container)
    status = crictl.json("inspect", container)["status"]
    assert (status["state"], status["exitCode"]) == ("CONTAINER_EXITED", 3)
    crictl("rm", container)
    crictl("stopp", pod)
    crictl("rmp", pod)
    assert crictl("pods", "-q") == "" and crictl("ps", "-aq") == ""


def test_exec_exit_code(crictl, pod_file, container_file):
    container = crictl("run", container_file, pod_file)
    result = crictl.run("exec", "-s", container, "sh", "-c", "echo no >&2; exit 7", check=False)
    assert result.returncode != 0 and "7" in result.stderr
    crictl("rmp", "-fa")


def test_update(crictl, pod_file, container_file):
    container = crictl("run", container_file, pod_file)
    result = crictl.run("update", "--cpu-share", "512", container, check=False)
    # Where this host's cgroup v2 has no cpu controller, the daemon is told to leave the limit out.
    assert result.returncode == 0, result.stderr
    crictl("rmp", "-fa")


def test_image_verbs(crictl):
    crictl("pull", image("layered"))
    inspected = crictl.json("inspecti", image("layered"))["status"]
    assert inspected["repoTags"] == [image("layered")]
    assert crictl.json("imagefsinfo")["status"]["imageFilesystems"]
    crictl("rmi", image("layered"))
    assert crictl.run("inspecti", image("layered"), check=False).returncode != 0


def test_what_is_not_there(crictl, daemon):
    for command in (["inspect", "absent"], ["exec", "-s", "absent", "true"], ["start", "absent"],
                    ["inspectp", "absent"], ["pull", "registry.test/absent:1"]):
        result = crictl.run(*command, check=False)
        assert result.returncode != 0
        assert daemon.name != "coracled" or "absent" in result.stderr, (command, result.stderr)


def test_events(crictl, pod_file):
    watcher = subprocess.Popen(crictl.command("events", "-o", "json"), stdout=subprocess.PIPE,
                               text=True)
    try:
        seen = []
        crictl("rmp", "-f", crictl("runp", pod_file))
        while not any("DELETED" in line for line in seen):
            seen.append(watcher.stdout.readline())
            assert seen[-1], seen
    finally:
        watcher.kill()
        watcher.wait()
