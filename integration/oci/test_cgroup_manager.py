"""--cgroup-manager: who makes the container's cgroup. (systemd: test_systemd_cgroup.py)"""

import pathlib

import pytest

from oci.harness import alive, controllers

CGROUP = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}
DISABLED = ("--cgroup-manager", "disabled")


@pytest.fixture
def without(runtime, bundle):
    """The runtime without cgroups, and a bundle that shows which cgroup its program is in."""
    if runtime.name == "runc":
        pytest.skip("runc has no --cgroup-manager")
    plain = runtime.command
    runtime.command = lambda *words, **how: plain(*DISABLED, *words, **how)
    bundle.without_namespace("cgroup")
    return bundle


def own_cgroup():
    return pathlib.Path("/proc/self/cgroup").read_text()


@pytest.mark.checklist(82)
def test_disabled_leaves_the_container_in_our_cgroup(without):
    assert without.run("read=/proc/self/cgroup")["read=/proc/self/cgroup"] == own_cgroup()
    assert not without.cgroup.exists()


@pytest.mark.checklist(82)
def test_life_without_a_cgroup(without, runtime):
    container = without.start()
    assert container.exec("read=/proc/self/cgroup")["read=/proc/self/cgroup"] == own_cgroup()
    assert container.status() == "running"
    assert not without.cgroup.exists()
    pid = container.pid()
    # crun signals nobody, where there is no cgroup to list
    container.kill("KILL", *(["--all"] if runtime.name == "coracle" else []))
    container.wait()
    assert not alive(pid)
    container.delete()
    assert not (runtime.root / container.id).exists()


def test_force_ends_what_has_no_cgroup(without, runtime):
    container = without.start()
    pid = container.pid()
    container.delete("--force")
    assert not alive(pid) and not (runtime.root / container.id).exists()


@pytest.mark.coracle
def test_what_needs_a_cgroup_says_so(without, runtime):
    container = without.start()
    for words in (["pause"], ["update", "--pids-limit", "5"], ["events", "--stats"],
                  ["exec", "--cgroup", "below"]):
        rest = ["/probe"] if words[0] == "exec" else []
        message = runtime.fails(*words, container.id, *rest)
        assert "no cgroup" in message and len(message.splitlines()) == 1, message
    assert container.status() == "running"


@pytest.mark.coracle
def test_a_limit_that_nothing_applies_is_a_warning(without):
    without.linux["resources"] = {"pids": {"limit": 5}, "memory": {"limit": -1}}
    done = without.run_text("read=/proc/self/cgroup")
    assert "/linux/resources/pids/limit: not applied" in done.stderr
    assert "memory" not in done.stderr


@pytest.mark.coracle
def test_a_cgroup_mount_needs_its_namespace(without):
    without.spec["mounts"].append(CGROUP)
    assert "/mounts: a cgroup mount needs" in without.refused()


@pytest.mark.deviates("runc")
def test_cgroupfs_by_name(bundle, runtime):
    if not controllers():
        pytest.skip("this host's cgroup v2 has no controller at all")
    plain = runtime.command
    runtime.command = lambda *words, **how: plain("--cgroup-manager", "cgroupfs", *words, **how)
    bundle.start()
    assert bundle.cgroup.is_dir()


@pytest.mark.coracle
def test_unknown_manager(runtime):
    message = runtime.fails("--cgroup-manager", "magic", "list")
    assert "cgroupfs systemd disabled" in message


def test_exec_into_a_container_that_manages_cgroups(bundle):
    """Its cgroup has children with controllers, so no process of its own (EBUSY)."""
    if not controllers():
        pytest.skip("this host's cgroup v2 has no controller at all")
    controller = sorted(controllers())[0]
    bundle.spec["mounts"].append(CGROUP | {"options": ["rw"]})
    container = bundle.start(
        "mkdir=/sys/fs/cgroup/init", "write=/sys/fs/cgroup/init/cgroup.procs,0",
        f"write=/sys/fs/cgroup/cgroup.subtree_control,+{controller}", "pid", "sleep")
    made = container.wait_facts("pid")
    assert [value for name, value in made.items() if name != "pid"] == ["0", "0", "0"]
    seen = container.exec("read=/proc/self/cgroup")["read=/proc/self/cgroup"]
    assert seen.splitlines()[-1] == "0::/init"  # after those of cgroup v1, on a hybrid host
