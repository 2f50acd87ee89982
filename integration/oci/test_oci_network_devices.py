"""config-linux.md#network-devices: interfaces move from the runtime's network namespace into the
container's. The runtime runs in a network namespace of the test, which is its host."""

import json
import os
import subprocess

import pytest

from lib.wait import wait_until

pytestmark = pytest.mark.checklist(80)


class Network:
    """A network namespace, and what ip(8) tells of one."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(self.path) != own, "a new network namespace")
        self.enter = ["nsenter", f"--net={self.path}"]

    @property
    def path(self):
        return f"/proc/{self.holder.pid}/ns/net"

    def ip(self, *words, pid=None):
        enter = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else self.enter
        return subprocess.run([*enter, "ip", *words], check=True, capture_output=True,
                              text=True).stdout

    def links(self, pid=None):
        return {link["ifname"]: link for link in json.loads(self.ip("-j", "addr", pid=pid))}

    def veth(self, name):
        self.ip("link", "add", name, "type", "veth", "peer", "name", f"{name}-peer")
        self.ip("link", "set", f"{name}-peer", "up")
        return name

    def close(self):
        self.holder.kill()
        self.holder.wait()


@pytest.fixture
def network(runtime):
    made = Network()
    runtime.prefix = made.enter
    yield made
    runtime.prefix = []
    made.close()


def addresses(link):
    return {f"{each['local']}/{each['prefixlen']}" for each in link["addr_info"]
            if each["scope"] == "global"}


def configured(network, name):
    """An interface with addresses of every kind."""
    network.veth(name)
    network.ip("link", "set", name, "mtu", "1400", "address", "02:00:00:00:00:77", "up")
    network.ip("addr", "add", "10.9.0.1/24", "broadcast", "10.9.0.255", "dev", name)
    network.ip("addr", "add", "10.9.0.2/32", "dev", name)
    network.ip("addr", "add", "10.9.0.3/24", "valid_lft", "1000", "preferred_lft", "1000",
               "dev", name)
    network.ip("addr", "add", "169.254.7.7/16", "scope", "link", "dev", name)
    network.ip("-6", "addr", "add", "2001:db8::1/64", "dev", name, "nodad")
    return network.links()[name]


KEPT = {"10.9.0.1/24", "10.9.0.2/32", "2001:db8::1/64"}


# runc sets the interface down before it reads the addresses, which takes those of IPv6 away.
@pytest.mark.parametrize("name", ["inside", None])
def test_moves_with_name_addresses_and_up(bundle, network, name):
    before = configured(network, "outside")
    bundle.linux["netDevices"] = {"outside": {"name": name} if name else {}}
    container = bundle.start("read=/proc/net/dev", "sleep")
    links = network.links(container.pid())
    assert set(links) == {"lo", name or "outside"}
    link = links[name or "outside"]
    assert addresses(link) == KEPT
    assert "169.254.7.7" not in {each["local"] for each in link["addr_info"]}
    assert "UP" in link["flags"]
    assert (link["mtu"], link["address"]) == (before["mtu"], before["address"])
    assert "outside" not in network.links()
    assert f"{name or 'outside'}:" in container.wait_facts("read=/proc/net/dev")[
        "read=/proc/net/dev"]


def test_template_takes_the_next_free_number(bundle, network):
    network.veth("one")
    network.veth("two")
    bundle.linux["netDevices"] = {"one": {"name": "eth%d"}, "two": {"name": "eth%d"}}
    assert set(network.links(bundle.start().pid())) == {"lo", "eth0", "eth1"}


def test_several_devices(bundle, network):
    for name in ("one", "two", "three"):
        network.veth(name)
    bundle.linux["netDevices"] = {"one": {}, "two": {"name": "three"}}
    assert set(network.links(bundle.start().pid())) == {"lo", "one", "three"}
    assert {"three", "one-peer", "two-peer"} <= set(network.links())


def test_a_user_namespace_owns_what_it_gets(bundle, network):
    configured(network, "outside")
    bundle.with_user_namespace()
    bundle.linux["netDevices"] = {"outside": {"name": "inside"}}
    link = network.links(bundle.start().pid())["inside"]
    assert addresses(link) == KEPT and "UP" in link["flags"]


def test_into_a_joined_namespace(bundle, network):
    network.veth("outside")
    holder = bundle.start()
    bundle.without_namespace("network")
    bundle.linux["namespaces"].append({"type": "network",
                                       "path": f"/proc/{holder.pid()}/ns/net"})
    bundle.linux["netDevices"] = {"outside": {"name": "inside"}}
    bundle.start()
    assert set(network.links(holder.pid())) == {"lo", "inside"}


def unchanged(network, name, before):
    link = network.links()[name]
    assert addresses(link) - {"10.9.0.3/24"} == addresses(before) & KEPT
    assert ("UP" in link["flags"]) == ("UP" in before["flags"])
    assert link["mtu"] == before["mtu"]


def test_name_that_the_container_has_already(bundle, network):
    before = configured(network, "outside")
    bundle.linux["netDevices"] = {"outside": {"name": "lo"}}
    message = bundle.refused()
    if bundle.runtime.name == "coracle":
        assert "outside" in message and '"lo" already' in message
    unchanged(network, "outside", before)


def test_device_that_is_not_there(bundle, network):
    before = configured(network, "aaa")
    bundle.linux["netDevices"] = {"aaa": {}, "nosuch": {}}
    assert "nosuch" in bundle.refused()
    unchanged(network, "aaa", before)


def test_device_that_cannot_move(bundle, network):
    bundle.linux["netDevices"] = {"lo": {"name": "inside"}}
    bundle.refused()
    assert set(network.links()) == {"lo"}


def test_a_failing_create_brings_it_back(bundle, network):
    before = configured(network, "outside")
    network.veth("idle")
    bundle.linux["netDevices"] = {"outside": {"name": "inside"}, "idle": {}}
    bundle.spec["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}
    assert "/bin/false" in bundle.refused()
    unchanged(network, "outside", before)
    assert "UP" not in network.links()["idle"]["flags"]


@pytest.mark.coracle
def test_needs_a_network_namespace_of_its_own(bundle, network):
    network.veth("outside")
    bundle.linux["netDevices"] = {"outside": {}}
    bundle.without_namespace("network")
    assert "/linux/netDevices" in bundle.refused()
    bundle.linux["namespaces"].append({"type": "network", "path": network.path})
    assert "runtime's own" in bundle.refused()


@pytest.mark.coracle
@pytest.mark.parametrize("name", ["a/b", "..", "sixteen-letters-", "%deth", "e%dth", "eth%s", "%d"])
def test_name_that_is_no_name(bundle, network, name):
    network.veth("outside")
    bundle.linux["netDevices"] = {"outside": {"name": name}}
    assert "/linux/netDevices/outside/name" in bundle.refused()
