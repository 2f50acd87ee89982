"""Containers: lifecycle, exit codes, ExecSync, resources, statistics, errors."""

import json
import os
import time

import grpc
import pytest

from cri.client import expect_error
from cri.pods import Pod, image
from lib.wait import wait_until

MISSING = grpc.StatusCode.NOT_FOUND


def test_lifecycle(pod, daemon):
    container = pod.create("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done",
                           labels={"tier": "front"}, annotations={"note": "kept"})
    status = container.status()
    assert container.state() == "CONTAINER_CREATED"
    assert dict(status.labels) == {"tier": "front"}
    assert status.annotations["note"] == "kept"
    assert status.started_at == 0 and status.finished_at == 0

    container.start()
    assert container.state() == "CONTAINER_RUNNING"
    assert container.status().started_at >= status.created_at > 0
    container.exec("true")

    container.stop(timeout=10)
    status = container.status()
    assert (container.state(), status.exit_code, status.reason) == ("CONTAINER_EXITED", 5, "Error")
    assert status.finished_at >= status.started_at
    container.stop()  # a second stop is no error
    container.remove()
    container.remove()  # neither is a second removal
    with expect_error(MISSING):
        container.status()


@pytest.mark.parametrize("code,reason", [(0, "Completed"), (1, "Error"), (255, "Error")])
def test_exit_code_and_reason(pod, code, reason):
    _, status = pod.run_to_end("sh", "-c", f"exit {code}")
    assert (status.exit_code, status.reason) == (code, reason)


def test_stop_without_grace_kills(pod):
    container = pod.run("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")
    container.stop(timeout=0)
    assert container.status().exit_code == 137


def test_stop_waits_for_the_grace_period(pod):
    container = pod.run("sh", "-c", "trap 'sleep 0.5; exit 7' TERM; while :; do sleep 0.1; done")
    container.exec("true")
    container.stop(timeout=30)
    assert container.status().exit_code == 7


def test_stop_signal_of_the_image(pod):
    container = pod.run(image_name="settings", command=["sh", "-c"], args=[
        "trap 'exit 11' INT; trap 'exit 12' TERM; echo ready; while :; do sleep 0.1; done"])
    wait_until(container.log, "its first line")
    container.stop(timeout=10)
    assert container.status().exit_code == 11


def test_list_filters(daemon):
    pod, other = Pod(daemon), Pod(daemon)
    one = pod.run(labels={"n": "1"})
    two = other.create("true", labels={"n": "2"})

    def listed(**container_filter):
        listing = daemon.client.ListContainers(filter=container_filter).containers
        return {container.id for container in listing}

    assert listed() == {one.id, two.id}
    assert listed(pod_sandbox_id=pod.id) == {one.id}
    assert listed(state={"state": "CONTAINER_CREATED"}) == {two.id}
    assert listed(label_selector={"n": "2"}) == {two.id}
    assert listed(id=one.id, pod_sandbox_id=other.id) == set()


def test_running_container_is_removed_by_force(pod, daemon):
    container = pod.run()
    container.remove()
    assert not daemon.client.ListContainers().containers


def test_command_that_does_not_exist(pod, daemon):
    """Found out at CreateContainer (nothing is left) or at StartContainer (128, StartError)."""
    container = None
    with pytest.raises(grpc.RpcError) as error:
        container = pod.create("/nonexistent")
        container.start()
    assert "/nonexistent" in error.value.details()
    assert "no such file or directory" in error.value.details()
    if container is None:
        assert not daemon.client.ListContainers().containers
    else:
        status = container.status()
        assert (status.exit_code, status.reason) == (128, "StartError")


def test_image_settings_are_the_defaults(pod):
    container, _ = pod.run_to_end(image_name="settings")
    assert container.log_text() == "hello from app in /home/app\n"


def test_request_wins_over_the_image(pod):
    container, _ = pod.run_to_end(
        image_name="settings", args=["echo $GREETING $MORE in $(pwd)"], working_dir="/tmp",
        envs=[{"key": "GREETING", "value": "bye"}, {"key": "MORE", "value": "now"}])
    assert container.log_text() == "bye now in /tmp\n"
    # A command of the request replaces entrypoint and arguments of the image.
    container, _ = pod.run_to_end("echo", image_name="settings")
    assert container.log_text() == "\n"


def test_exec_sync(pod):
    container = pod.run(envs=[{"key": "A", "value": "b"}])
    result = container.exec("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert container.output("sh", "-c", "echo $A") == "b\n"
    assert container.exec("head", "-c", "300000", "/dev/zero").stdout == bytes(300000)
    with pytest.raises(grpc.RpcError) as error:
        container.exec("/nonexistent")
    assert "no such file or directory" in error.value.details()
    with pytest.raises(grpc.RpcError):
        container.exec()


def test_exec_sync_timeout_ends_the_command(pod):
    container = pod.run()
    with expect_error(grpc.StatusCode.DEADLINE_EXCEEDED):
        container.exec("sleep", "4321", timeout=1)
    wait_until(lambda: "4321" not in container.output(
        "sh", "-c", "for p in /proc/[0-9]*; do cat $p/cmdline; done"), "the command is killed")


def test_exec_does_not_wait_for_what_it_left_in_the_background(pod):
    container = pod.run()
    begin = time.monotonic()
    result = container.exec("sh", "-c", "sleep 60 & echo started", timeout=30)
    assert result.stdout == b"started\n"
    assert time.monotonic() - begin < 30


def test_exec_needs_a_running_container(pod):
    with pytest.raises(grpc.RpcError):
        pod.create("true").exec("true")
    container, _ = pod.run_to_end("true")
    with pytest.raises(grpc.RpcError):
        container.exec("true")


def test_many_execs_at_once(pod):
    from concurrent.futures import ThreadPoolExecutor
    container = pod.run()
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda n: container.output("echo", str(n)), range(48)))
    assert results == [f"{n}\n" for n in range(48)]


def test_statistics(daemon):
    pod = Pod(daemon, linux={"cgroup_parent": f"/coracle-test-{os.getpid()}"})
    container = pod.run("sh", "-c", "echo data > /file; while :; do :; done")
    wait_until(lambda: daemon.client.ContainerStats(container_id=container.id).stats.cpu.
               usage_core_nano_seconds.value > 0, "processor time is counted")
    stats = daemon.client.ContainerStats(container_id=container.id).stats
    assert stats.attributes.id == container.id
    assert stats.cpu.timestamp > 0 and stats.memory.timestamp > 0
    listed = daemon.client.ListContainerStats(filter={"pod_sandbox_id": pod.id}).stats
    assert [item.attributes.id for item in listed] == [container.id]
    of_pod = daemon.client.PodSandboxStats(pod_sandbox_id=pod.id).stats
    assert of_pod.attributes.id == pod.id
    assert of_pod.linux.cpu.usage_core_nano_seconds.value > 0
    assert daemon.client.ListPodSandboxStats().stats[0].attributes.id == pod.id


def test_writable_layer_is_counted(pod, daemon):
    container = pod.run("sh", "-c", "dd if=/dev/zero of=/big bs=1M count=3; sleep 1000")
    wait_until(lambda: daemon.client.ContainerStats(container_id=container.id).stats.
               writable_layer.used_bytes.value >= 3 << 20, "3 MiB in the writable layer")


def test_verbose_status(pod):
    container = pod.run()
    info = json.loads(container.status(verbose=True).info["info"])
    assert os.path.exists(f"/proc/{info['pid']}")
    assert info["sandboxID"] == pod.id
    assert info["runtimeSpec"]["process"]["args"]


def test_container_status_names_its_image(pod, daemon):
    container = pod.create("true")
    status = container.status()
    assert status.image.image == image()
    found = daemon.client.ImageStatus(image={"image": image()}).image
    assert status.image_ref == found.id or status.image_ref in found.repo_digests


def test_unknown_ids(daemon):
    client = daemon.client
    for call in (client.StartContainer, client.ContainerStatus, client.ContainerStats,
                 client.ReopenContainerLog):
        with expect_error(MISSING):
            call(container_id="f" * 64)
    with expect_error(MISSING):
        client.ExecSync(container_id="f" * 64, cmd=["true"])
    with expect_error(MISSING):
        client.UpdateContainerResources(container_id="f" * 64)


def test_image_that_is_not_here(pod):
    with pytest.raises(grpc.RpcError) as error:
        pod.create("true", image={"image": "registry.test/never-pulled:1"})
    assert error.value.code() == MISSING
    assert "never-pulled" in error.value.details()


def test_same_name_twice(pod):
    metadata = {"name": "same", "attempt": 0}
    pod.create("true", metadata=metadata)
    with pytest.raises(grpc.RpcError):
        pod.create("true", metadata=metadata)
    pod.create("true", metadata={**metadata, "attempt": 1})


def test_starting_twice(pod):
    container = pod.run()
    with pytest.raises(grpc.RpcError):
        container.start()
    assert container.state() == "CONTAINER_RUNNING"


def test_short_id_is_enough(pod, daemon):
    container = pod.run()
    status = daemon.client.ContainerStatus(container_id=container.id[:12]).status
    assert status.id == container.id


def test_terminal_and_stdin(pod):
    container = pod.run("sh", "-c", "tty; stty size; sleep 1000", tty=True, stdin=True)
    wait_until(container.log, "the terminal's first line")
    assert container.log()[0][0] == "stdout"
    assert "/dev/" in container.log_text()
