"""A daemon that is killed: containers do not notice, and afterwards it knows everything."""

import os
import signal
import threading
import time

import grpc
import pytest

from cri.pods import Pod, image
from lib.wait import wait_until

# Writes numbered lines as fast as it can until it is told to stop, then tells how many.
WRITER = ("trap 'stop=1' TERM; n=0; while [ -z \"$stop\" ]; do echo $n; n=$((n+1)); done; "
          "echo last $n; exit 42")


def test_no_line_is_lost_and_no_container_stops(fresh_daemon):
    pod = Pod(fresh_daemon)
    writers = [pod.run("sh", "-c", WRITER) for _ in range(3)]
    started = {writer.id: writer.status().started_at for writer in writers}
    for writer in writers:
        wait_until(lambda w=writer: w.log_path.exists() and w.log_path.stat().st_size > 100_000,
                   "the log grows")
    fresh_daemon.kill()
    for writer in writers:  # nobody blocks while there is no daemon
        size = writer.log_path.stat().st_size
        wait_until(lambda w=writer, s=size: w.log_path.stat().st_size > s + 1_000_000,
                   "the log grows without a daemon")
    fresh_daemon.start()
    assert pod.status().state == 0
    for writer in writers:
        assert writer.state() == "CONTAINER_RUNNING"
        assert writer.status().started_at == started[writer.id]
        assert writer.output("echo", "alive") == "alive\n"
        writer.stop(timeout=30)
        assert writer.status().exit_code == 42
        texts = [text for _, _, text in writer.log()]
        assert {tag for _, tag, _ in writer.log()} == {"F"}
        assert texts[-1] == f"last {len(texts) - 1}"
        assert texts[:-1] == [str(number) for number in range(len(texts) - 1)]
    pod.remove()


def test_what_ended_while_the_daemon_was_down(fresh_daemon, tmp_path):
    pod = Pod(fresh_daemon)
    gate = {"mounts": [{"container_path": "/gate", "host_path": str(tmp_path)}]}
    before = pod.run_to_end("sh", "-c", "exit 3")[0].status()
    container = pod.run("sh", "-c", "while [ ! -e /gate/open ]; do sleep 0.05; done; exit 17",
                        **gate)
    created = pod.create("true")
    fresh_daemon.kill()
    (tmp_path / "open").touch()
    wait_until(lambda: "/gate/open" not in " ".join(fresh_daemon.space.processes().values()),
               "the container ends")
    ended_by = time.time_ns()
    fresh_daemon.start()

    status = container.wait()
    assert (status.exit_code, status.reason) == (17, "Error")
    assert status.started_at < status.finished_at <= ended_by + 1_000_000_000
    after = fresh_daemon.client.ContainerStatus(container_id=before.id).status
    assert after == before
    assert created.state() == "CONTAINER_CREATED"
    created.start()
    assert created.wait().exit_code == 0
    pod.remove()


def test_pods_keep_their_network_and_names(fresh_daemon):
    pod, stopped = Pod(fresh_daemon, labels={"a": "b"}), Pod(fresh_daemon)
    stopped.stop()
    status = pod.status()
    fresh_daemon.kill()
    fresh_daemon.start()
    assert pod.status() == status
    assert stopped.status().state == 1
    listed = {item.id: item.state for item in fresh_daemon.client.ListPodSandbox().items}
    assert listed == {pod.id: 0, stopped.id: 1}
    assert Pod(fresh_daemon).status().network.ip != status.network.ip
    assert fresh_daemon.client.ImageStatus(image={"image": image()}).HasField("image")


def test_shim_that_was_killed(fresh_daemon):
    """Its container goes with it: no process remains, and the status says so."""
    if fresh_daemon.name != "coracled":
        pytest.skip("knows the name of our shim")
    pod = Pod(fresh_daemon)
    container = pod.run()
    shims = [pid for pid, line in fresh_daemon.space.processes().items()
             if "coracle-shim" in line and container.id in line]
    assert shims, fresh_daemon.space.processes()
    for pid in shims:
        os.kill(pid, signal.SIGKILL)
    status = container.wait()
    assert status.exit_code in (137, 255)
    wait_until(lambda: not any("trap" in line
                               for line in fresh_daemon.space.processes().values()),
               "the container's processes are gone")
    pod.remove()


def test_shim_that_cannot_be_reached_again(fresh_daemon):
    """A shim that has a record of the end, but no way to it, ends with its container."""
    if fresh_daemon.name != "coracled":
        pytest.skip("knows the files of our shim")
    pod = Pod(fresh_daemon)
    container = pod.run("sh", "-c", "exec sleep 4321")
    bundle = fresh_daemon.state / "containers" / container.id / "bundle"
    fresh_daemon.kill()
    (bundle / "address").unlink()
    for pid, line in fresh_daemon.space.processes().items():
        if line == "sleep 4321":
            os.kill(pid, signal.SIGKILL)
    wait_until((bundle / "exit.json").exists, "the shim has written down how it ended")
    fresh_daemon.start()
    assert container.wait().exit_code == 137
    wait_until(lambda: not any(container.id in line
                               for line in fresh_daemon.space.processes().values()),
               "the shim is gone")
    pod.remove()


@pytest.mark.parametrize("attempt", range(8))
def test_killed_while_pods_are_made_and_removed(fresh_daemon, attempt):
    """Half-made things are finished or undone: nothing is left once the rest is removed."""
    space = fresh_daemon.space
    mounts, links = space.mounts(), space.links()
    known = {*space.processes().values()}
    busy = threading.Event()

    def churn():
        while not busy.is_set():
            try:
                pod = Pod(fresh_daemon)
                pod.run()
                pod.remove()
            except (grpc.RpcError, ValueError):
                return  # the daemon is gone

    workers = [threading.Thread(target=churn) for _ in range(3)]
    for worker in workers:
        worker.start()
    busy.wait(0.3 + attempt * 0.17)
    fresh_daemon.kill()
    busy.set()
    for worker in workers:
        worker.join()
    fresh_daemon.start()
    fresh_daemon.remove_everything()
    bridge = [name for name in space.links() if name.startswith("br-")]
    try:
        wait_until(lambda: set(space.processes().values()) <= known, "no process remains", 20)
    except AssertionError:
        raise AssertionError(f"left: {set(space.processes().values()) - known}") from None
    assert space.mounts() == mounts
    assert sorted(set(space.links()) - set(bridge)) == links
    leases = list((fresh_daemon.directory / "ipam").rglob("10.*"))
    assert leases == []
