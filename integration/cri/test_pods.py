"""Pod sandboxes: namespaces, network, DNS, sysctls, states."""

import json
import os
import pathlib
import time

import grpc
import pytest

from cri.client import expect_error
from cri.pods import Pod, image
from lib.wait import wait_until

NODE = {"network": "NODE"}
BAD, MISSING = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND


def namespace_of(container, kind):
    return container.output("readlink", f"/proc/self/ns/{kind}").strip()


def host_namespace(daemon, kind):
    return os.readlink(f"/proc/{daemon.pid}/ns/{kind}")


def namespaces(**options):
    return {"linux": {"security_context": {"namespace_options": options}}}


def test_version(daemon):
    version = daemon.client.Version()
    assert version.runtime_api_version == "v1"
    assert version.runtime_name == daemon.runtime_name


def conditions_of(daemon):
    conditions = {c.type: c for c in daemon.client.Status().status.conditions}
    return conditions["RuntimeReady"], conditions["NetworkReady"]


def test_status_says_ready(daemon):
    assert [condition.status for condition in conditions_of(daemon)] == [True, True]


def test_status_without_a_network(stage):
    daemon = stage.daemon(started=False)
    network = daemon.cni_conf_dir / "10-test.conflist"
    kept = network.read_text()
    network.unlink()
    daemon.start()
    runtime, of_network = conditions_of(daemon)
    assert (runtime.status, of_network.status) == (True, False)
    assert of_network.message

    network.write_text(kept)
    wait_until(lambda: conditions_of(daemon)[1].status, "the network is found without a restart")
    Pod(daemon)


def test_lifecycle(daemon):
    before = time.time_ns()
    pod = Pod(daemon, labels={"app": "web"}, annotations={"note": "kept"})
    status = pod.status()
    assert status.state == 0  # SANDBOX_READY
    assert dict(status.labels) == {"app": "web"}
    assert status.annotations["note"] == "kept"
    assert before - 2_000_000_000 < status.created_at < time.time_ns() + 2_000_000_000
    assert [item.id for item in daemon.client.ListPodSandbox().items] == [pod.id]

    pod.stop()
    assert pod.status().state == 1  # SANDBOX_NOTREADY
    pod.stop()  # a second stop is no error
    pod.remove()
    with expect_error(MISSING):
        pod.status()
    assert not daemon.client.ListPodSandbox().items


def test_removing_what_is_not_there_is_no_error(daemon):
    daemon.client.RemovePodSandbox(pod_sandbox_id="0" * 64)


def test_list_filters(daemon):
    web, database = Pod(daemon, labels={"app": "web"}), Pod(daemon, labels={"app": "db"})
    database.stop()

    def listed(**pod_filter):
        return [item.id for item in daemon.client.ListPodSandbox(filter=pod_filter).items]

    assert listed(label_selector={"app": "web"}) == [web.id]
    assert listed(state={"state": "SANDBOX_NOTREADY"}) == [database.id]
    assert listed(id=web.id) == [web.id]
    assert listed(id="0" * 64) == []


def test_same_metadata_twice(daemon):
    pod = Pod(daemon)
    with pytest.raises(grpc.RpcError):
        daemon.client.RunPodSandbox(config=pod.config)
    again = Pod(daemon, metadata={**pod.config["metadata"], "attempt": 1})
    assert again.id != pod.id


def test_containers_of_a_pod_share_network_ipc_and_host_name(pod, daemon):
    first, second = pod.run(), pod.run()
    for kind in ("net", "ipc", "uts"):
        assert namespace_of(first, kind) == namespace_of(second, kind)
        assert namespace_of(first, kind) != host_namespace(daemon, kind)
    for kind in ("mnt", "cgroup"):
        assert namespace_of(first, kind) != namespace_of(second, kind) or kind == "cgroup"
    assert first.output("hostname").strip() == pod.config["hostname"]
    assert first.output("cat", "/etc/hostname").strip() == pod.config["hostname"]
    first.output("sh", "-c", "echo shared > /dev/shm/file")
    assert second.output("cat", "/dev/shm/file") == "shared\n"


def test_pid_namespace_of_the_pod(daemon):
    shared = namespaces(pid="POD")
    pod = Pod(daemon, **shared)
    first, second = pod.run(**shared), pod.run(**shared)
    assert namespace_of(first, "pid") == namespace_of(second, "pid")
    assert namespace_of(first, "pid") != host_namespace(daemon, "pid")
    seen = first.output("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert seen.count("trap") >= 2
    assert "trap" not in first.output("cat", "/proc/1/cmdline")  # the pod's own parent is 1

    if daemon.name != "coracled":
        return  # there the parent comes from an image of ours, which does not reap
    # Its orphans are reaped by that parent.
    first.output("sh", "-c", "(sleep 0.2 &) ; true")
    wait_until(lambda: "Z" not in first.output(
        "sh", "-c", "sed 's/.*) //' /proc/[0-9]*/stat | cut -c1"), "no zombie remains")


def test_pid_namespace_of_each_container(pod, daemon):
    own = namespaces(pid="CONTAINER")
    first, second = pod.run(**own), pod.run(**own)
    assert namespace_of(first, "pid") != namespace_of(second, "pid")
    assert "trap" in first.output("cat", "/proc/1/cmdline")


def test_pid_namespace_of_the_node_and_of_a_target(daemon):
    shared = namespaces(pid="NODE")
    on_node = Pod(daemon, **shared).run(**shared)
    assert namespace_of(on_node, "pid") == host_namespace(daemon, "pid")
    pod = Pod(daemon)
    target = pod.run(**namespaces(pid="CONTAINER"))
    guest = pod.run(**namespaces(pid="TARGET", target_id=target.id))
    assert namespace_of(guest, "pid") == namespace_of(target, "pid")


def test_ipc_of_the_node(daemon):
    shared = namespaces(ipc="NODE")
    pod = Pod(daemon, **shared)
    assert namespace_of(pod.run(**shared), "ipc") == host_namespace(daemon, "ipc")


def test_host_network(daemon):
    shared = namespaces(**NODE)
    pod = Pod(daemon, hostname="", **shared)
    container = pod.run(**shared)
    assert namespace_of(container, "net") == host_namespace(daemon, "net")
    assert namespace_of(container, "uts") == host_namespace(daemon, "uts")
    assert not pod.status().network.ip
    assert pod.status().linux.namespaces.options.network == 2  # NODE


def test_pods_reach_each_other(daemon):
    server, client = Pod(daemon), Pod(daemon)
    assert server.status().network.ip != client.status().network.ip
    server.run("sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -p 80 -h /tmp")
    address = server.status().network.ip
    asker = client.run()
    wait_until(lambda: asker.exec("wget", "-qO-", f"http://{address}/").stdout == b"hello\n",
               "the other pod answers")
    assert "127.0.0.1" in asker.output("ip", "-4", "addr", "show", "lo")


def test_port_mapping(daemon, shared_stage):
    mapping = {"protocol": "TCP", "container_port": 8080, "host_port": 18080}
    pod = Pod(daemon, port_mappings=[mapping])
    pod.run("sh", "-c", "echo mapped > /tmp/index.html; exec httpd -f -p 8080 -h /tmp")
    # Through the address of the node, as a neighbour would.
    address = shared_stage.space.run("sh", "-c", "ip -4 -o addr show scope global").stdout
    node = next(part.split("/")[0] for part in address.split() if "/" in part)
    fetch = ["busybox", "wget", "-qO-", f"http://{node}:18080/"]
    wait_until(lambda: shared_stage.space.run(*fetch, check=False).stdout == "mapped\n",
               "the port of the node leads to the pod")
    pod.remove()
    assert "18080" not in shared_stage.space.run("iptables-save").stdout


def test_dns(daemon):
    pod = Pod(daemon, dns_config={"servers": ["10.96.0.10", "10.96.0.11"],
                                  "searches": ["a.example", "b.example"],
                                  "options": ["ndots:5", "edns0"]})
    text = pod.run().output("cat", "/etc/resolv.conf")
    assert text.splitlines() == ["search a.example b.example", "nameserver 10.96.0.10",
                                 "nameserver 10.96.0.11", "options ndots:5 edns0"]


def test_sysctls(daemon):
    pod = Pod(daemon, linux={"sysctls": {"net.core.somaxconn": "777", "kernel.shm_rmid_forced":
                                         "1"}})
    container = pod.run()
    assert container.output("cat", "/proc/sys/net/core/somaxconn") == "777\n"
    assert container.output("cat", "/proc/sys/kernel/shm_rmid_forced") == "1\n"
    # Ports below 1024 are everyone's in a network namespace of one's own.
    assert container.output("cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start") == "0\n"


def test_sysctl_of_the_host_is_refused(daemon):
    panic = pathlib.Path("/proc/sys/kernel/panic")
    before = panic.read_text()
    with pytest.raises(grpc.RpcError) as error:
        Pod(daemon, linux={"sysctls": {"kernel.panic": "4321"}})
    assert "kernel.panic" in error.value.details()
    assert panic.read_text() == before
    assert not daemon.client.ListPodSandbox().items


def test_stopping_a_pod_stops_its_containers(pod):
    container = pod.run()
    pod.stop()
    assert container.state() == "CONTAINER_EXITED"
    with pytest.raises(grpc.RpcError):
        pod.create("true")


def test_removing_a_pod_removes_its_containers(daemon):
    pod = Pod(daemon)
    pod.run()
    pod.create("true")
    pod.remove()
    assert not daemon.client.ListContainers().containers


def test_verbose_status_is_json(pod):
    info = json.loads(pod.status(verbose=True).info["info"])
    assert isinstance(info, dict) and info


def test_requests_without_needed_fields(daemon):
    client = daemon.client
    if daemon.name != "coracled":
        pytest.skip(f"{daemon.name} accepts some of these")
    with expect_error(BAD, "metadata"):
        client.RunPodSandbox()
    with expect_error(BAD, "metadata", "name"):
        client.RunPodSandbox(config={"metadata": {"namespace": "x", "uid": "u"}})
    with expect_error(MISSING):
        client.CreateContainer(pod_sandbox_id="nothing", config={"metadata": {"name": "a"}})
    assert not client.ListPodSandbox().items


def test_unknown_runtime_handler(daemon):
    metadata = {"name": "a", "uid": "a", "namespace": "a"}
    with pytest.raises(grpc.RpcError) as error:
        daemon.client.RunPodSandbox(config={"metadata": metadata}, runtime_handler="nonesuch")
    assert "nonesuch" in error.value.details()


def test_cgroup_parent(daemon):
    parent = f"/coracle-test-{os.getpid()}/pod"
    pod = Pod(daemon, linux={"cgroup_parent": parent})
    container = pod.run()
    pid = json.loads(container.status(verbose=True).info["info"])["pid"]
    assert f"{parent}/" in pathlib.Path(f"/proc/{pid}/cgroup").read_text()


def test_network_plugin_that_fails(stage):
    """The error is the plugin's, in one line; nothing is left of the pod."""
    daemon = stage.daemon(started=False)
    (daemon.cni_conf_dir / "10-test.conflist").write_text(json.dumps({
        "cniVersion": "1.0.0", "name": "broken", "plugins": [
            {"type": "bridge", "bridge": "name-that-is-too-long-for-a-link",
             "ipam": {"type": "host-local", "dataDir": str(daemon.directory / "ipam"),
                      "ranges": [[{"subnet": "10.77.0.0/16"}]]}}]}))
    daemon.start()
    daemon.client.PullImage(image={"image": image()})
    mounts, links = stage.space.mounts(), stage.space.links()
    with pytest.raises(grpc.RpcError) as error:
        Pod(daemon)
    assert "bridge" in error.value.details()
    assert not daemon.client.ListPodSandbox().items
    assert (stage.space.mounts(), stage.space.links()) == (mounts, links)
