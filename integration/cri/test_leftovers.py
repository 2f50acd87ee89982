"""Removing all pods leaves the host exactly as before; two daemons do not touch each other."""

import os
import pathlib

import grpc
import pytest

from cri.pods import Pod, image
from lib.wait import wait_until


def cgroups():
    """Every cgroup of this machine, but for those of machines beside us."""
    found = set()
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            found |= {folder for folder, _, _ in os.walk(fields[4])}
    return found


def files(directory):
    """Every path below the directories of a daemon that a pod may have left something in."""
    return sorted(str(path) for path in pathlib.Path(directory).rglob("*"))


def picture(daemon):
    space = daemon.space
    kept = [name for name in space.links() if not name.startswith("br-")]
    return {"mounts": space.mounts(), "links": kept, "processes": sorted(
        line for pid, line in space.processes().items() if pid != daemon.pid),
        "files of the state": files(daemon.state), "snapshots": [
            path for path in files(daemon.root) if "snapshots/" in path or "/cni/" in path],
        "addresses": [path for path in files(daemon.directory / "ipam") if "/10." in path],
        "rules": [line for line in space.run("iptables-save").stdout.splitlines()
                  if line.startswith("-A")]}


def use_everything(daemon):
    """Pods of every kind, ended in every way."""
    shared = {"linux": {"security_context": {"namespace_options": {"pid": "POD"}}}}
    node = {"linux": {"security_context": {"namespace_options": {"network": "NODE"}}}}
    mapping = [{"protocol": "TCP", "container_port": 80, "host_port": 18081}]
    pods = [Pod(daemon, port_mappings=mapping), Pod(daemon, **shared), Pod(daemon, hostname="",
                                                                           **node), Pod(daemon)]
    pods[0].run().exec("true")
    pods[0].run_to_end("sh", "-c", "exit 1")
    pods[0].create("true")
    pods[1].run(**shared).exec("sh", "-c", "sleep 1000 &")
    pods[1].run("sh", "-c", "trap '' TERM; sleep 1000", **shared)
    pods[2].run("sleep", "1000", **node).stop()
    pods[3].run(image_name="settings", tty=True, command=["sleep"], args=["1000"])
    with pytest.raises(grpc.RpcError):
        pods[3].run("/nonexistent")
    with pytest.raises(grpc.RpcError):
        pods[3].run("true", mounts=[{"container_path": "/x", "host_path": "/dev/null/x"}])
    return pods


def test_the_host_is_as_before(stage):
    daemon = stage.daemon()
    for name in ("busybox", "settings"):
        daemon.client.PullImage(image={"image": image(name)})
    mapping = [{"protocol": "TCP", "container_port": 80, "host_port": 18082}]
    warm = Pod(daemon, port_mappings=mapping)  # makes what plugins make once: bridge, chains
    warm.run_to_end("true")
    warm.remove()
    before, before_cgroups = picture(daemon), cgroups()
    for _ in range(2):
        for pod in use_everything(daemon):
            pod.remove()
    wait_until(lambda: picture(daemon)["processes"] == before["processes"], "processes end", 20)
    after = picture(daemon)
    for kind, what in before.items():
        assert after[kind] == what, kind
    ours = {path for path in cgroups() - before_cgroups if os.path.isdir(path)}
    assert not {path for path in ours if "coracle" in path or "k8s" in path}


def test_two_daemons_side_by_side(stage):
    first, second = stage.daemon(), stage.daemon()
    for daemon in (first, second):
        daemon.client.PullImage(image={"image": image()})
    mine, theirs = Pod(first), Pod(second)
    one, two = mine.run(), theirs.run()
    assert [pod.id for pod in first.client.ListPodSandbox().items] == [mine.id]
    assert [pod.id for pod in second.client.ListPodSandbox().items] == [theirs.id]
    first.kill()
    assert two.output("echo", "on") == "on\n"
    first.start()
    second.remove_everything()
    assert one.output("echo", "still") == "still\n"
    first.remove_everything()


def test_a_second_daemon_on_the_same_directories_is_refused(stage):
    daemon = stage.daemon()
    if daemon.name != "coracled":
        pytest.skip("waits instead of refusing")
    result = stage.space.run(*map(str, daemon.command()), check=False, timeout=30)
    assert result.returncode != 0
    assert str(daemon.root) in result.stderr + result.stdout
    assert daemon.client.Version().runtime_name == "coracle"
