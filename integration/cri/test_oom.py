"""Limits of CRI containers on a machine with every cgroup v2 controller: memory above all."""

import pathlib

import pytest

from cri.crictl import MISSING, PROGRAM, Crictl
from cri.pods import Pod
from lib.wait import wait_until

CONTROLLERS = pathlib.Path("/sys/fs/cgroup/cgroup.controllers")
HAVE = CONTROLLERS.read_text().split() if CONTROLLERS.exists() else []
pytestmark = [pytest.mark.vm, pytest.mark.skipif(
    not {"memory", "cpu", "pids"} <= set(HAVE),
    reason="cgroup v2 at /sys/fs/cgroup lacks the controllers memory, cpu or pids")]

LIMIT = 32 << 20


def resources(**limits):
    return {"linux": {"resources": limits}}


def test_out_of_memory_is_oom_killed_and_137(pod):
    container, status = pod.run_to_end("tail", "/dev/zero",
                                       **resources(memory_limit_in_bytes=LIMIT))
    assert (status.reason, status.exit_code) == ("OOMKilled", 137)
    if PROGRAM is None:
        pytest.skip(f"the same through crictl inspect: {MISSING}")
    shown = Crictl(pod.daemon.socket).json("inspect", container.id)["status"]
    assert (shown["reason"], shown["exitCode"]) == ("OOMKilled", 137)


def test_out_of_memory_of_another_process_than_the_first(pod):
    container = pod.run("sh", "-c", "sh -c 'tail /dev/zero'; echo child $?; sleep 1000",
                        **resources(memory_limit_in_bytes=LIMIT))
    wait_until(lambda: container.state() == "CONTAINER_EXITED" or container.log(), "the child dies")
    status = container.status()
    assert container.log_text().endswith("child 137\n") or status.reason == "OOMKilled"


def test_limits_are_in_the_cgroup_and_seen_from_inside(pod):
    container = pod.run(**resources(memory_limit_in_bytes=LIMIT, cpu_quota=50000,
                                    cpu_period=100000, cpu_shares=512))
    read = lambda name: container.output("cat", f"/sys/fs/cgroup/{name}").strip()  # noqa: E731
    assert read("memory.max") == str(LIMIT)
    assert read("cpu.max") == "50000 100000"
    assert int(read("cpu.weight")) > 1
    assert container.exec("touch", "/sys/fs/cgroup/x").exit_code != 0


def test_update_of_a_running_container(pod, daemon):
    container = pod.run(**resources(memory_limit_in_bytes=LIMIT))
    daemon.client.UpdateContainerResources(
        container_id=container.id, linux={"memory_limit_in_bytes": 2 * LIMIT, "cpu_quota": 20000,
                                          "cpu_period": 100000})
    assert container.output("cat", "/sys/fs/cgroup/memory.max").strip() == str(2 * LIMIT)
    assert container.output("cat", "/sys/fs/cgroup/cpu.max").strip() == "20000 100000"
    shown = container.status().resources.linux
    assert (shown.memory_limit_in_bytes, shown.cpu_quota) == (2 * LIMIT, 20000)


def test_statistics_of_memory(pod, daemon):
    container = pod.run("sh", "-c", "head -c 8000000 /dev/zero | sort > /dev/null & sleep 1000")
    stats = wait_until(lambda: daemon.client.ContainerStats(container_id=container.id).stats,
                       "statistics")
    assert stats.memory.working_set_bytes.value > 0
    assert stats.memory.usage_bytes.value >= stats.memory.rss_bytes.value


def test_pod_cgroup_holds_its_containers(daemon):
    pod = Pod(daemon, linux={"cgroup_parent": "/coracle-vm-test/pod"})
    pod.run()
    count = daemon.client.PodSandboxStats(pod_sandbox_id=pod.id).stats.linux.process.process_count
    assert count.value >= 1
