"""Cgroups of a user without privileges: none, or one that was given to the user."""

import json
import os
import pathlib
import shutil

import pytest

from lib.user import UID, User
from lib.wait import wait_until
from oci.harness import alive, cgroup_mount, controllers, facts
from oci.rootless import AsSomebody, alone, bundle, runtime, user

pytestmark = pytest.mark.skipif(shutil.which("newuidmap") is None, reason="no newuidmap(1)")


def is_writable_by_user():
    own = next(line for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines()
               if line.startswith("0::"))[3:]
    return (cgroup_mount() / own.lstrip("/")).stat().st_uid == UID


@pytest.mark.coracle
def test_without_a_cgroup(bundle, runtime):
    assert not is_writable_by_user()
    container = bundle.start("sleep")
    assert json.loads((runtime.root / container.id / "state.json").read_text())["cgroup"] == ""
    for verb in ("pause", "update", "events"):
        message = runtime.fails(verb, container.id)
        assert "has no cgroup of its own" in message and len(message.splitlines()) == 1
    assert container.status() == "running"


@pytest.mark.coracle
def test_processes_without_a_cgroup(bundle, runtime):
    container = bundle.start("orphan=1000", "sleep")
    runtime.detached("exec", "--detach", container.id, "/probe", "sleep")
    listed = wait_until(
        lambda: (pids := json.loads(runtime("ps", "--format", "json", container.id).stdout))
        and len(pids) == 3 and pids, "three processes")
    assert container.pid() in listed and os.getpid() not in listed
    container.kill("TERM", "--all")
    wait_until(lambda: sum(map(alive, listed)) == 1, "all but the first, which ignores it, ended")
    container.kill("KILL", "--all")
    container.wait()
    assert not any(map(alive, listed))


@pytest.mark.coracle
def test_kill_all_needs_to_know_the_processes(bundle, runtime):
    bundle.without_namespace("pid")
    bundle.spec["mounts"] = [mount for mount in bundle.spec["mounts"]
                             if mount["destination"] != "/proc"]
    container = bundle.start("sleep")
    assert "neither a cgroup nor a PID namespace" in runtime.fails("kill", "--all", container.id)
    container.kill("KILL")
    container.wait()


@pytest.mark.parametrize("what", ["path", "limit"])
@pytest.mark.deviates("crun")
def test_what_needs_a_cgroup_is_refused(bundle, what):
    bundle.new_id()
    name = bundle.id
    if what == "path":
        bundle.linux["cgroupsPath"] = "/somewhere/" + name
    else:
        bundle.linux["resources"] = {"pids": {"limit": 10}}
    (bundle.path / "config.json").write_text(json.dumps(bundle.spec))
    message = bundle.runtime.fails("run", "--bundle", bundle.path, name)
    assert "cgroup" in message
    assert not (bundle.runtime.root / name).exists()


@pytest.mark.checklist(73)
def test_cgroup_of_the_host_is_out_of_reach(bundle):
    """CVE-2023-25809: without a cgroup namespace, where the host's cgroups may be the user's."""
    bundle.without_namespace("cgroup")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup",
                 options=["nosuid", "noexec", "nodev", "relatime", "ro"])
    seen = bundle.run("write=/sys/fs/cgroup/cgroup.procs,0", "statvfs=/sys/fs/cgroup",
                      "write=/sys/fs/cgroup/unified/cgroup.procs,0")
    assert seen["write=/sys/fs/cgroup/cgroup.procs,0"] != "0"
    assert seen["write=/sys/fs/cgroup/unified/cgroup.procs,0"] != "0"
    assert seen["statvfs=/sys/fs/cgroup"]["readonly"]


class TestDelegated:
    """In a cgroup that was given to the user, as systemd gives one to each."""

    @pytest.fixture
    def top(self):
        top = cgroup_mount() / f"coracle-user-{os.getpid()}"
        (top / "caller").mkdir(parents=True)
        for file in ("cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            User.own_one(top / file, top / "caller" / file)
        User.own_one(top, top / "caller")
        yield top
        for path in sorted(top.glob("**/"), reverse=True):
            path.rmdir()

    @pytest.fixture
    def runtime(self, runtime_program, directory, user, top):
        available = set((top / "cgroup.controllers").read_text().split())
        (top / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in available))
        enter = ["sh", "-c", f'echo $$ > {top}/caller/cgroup.procs && exec "$@"', "sh"]
        return AsSomebody(runtime_program, directory, [*enter, *user.prefix])

    @pytest.mark.deviates("crun")  # makes no cgroup without root, and says nothing
    def test_pause_and_kill_all(self, bundle, runtime, top):
        container = bundle.start("sleep")
        assert (top / container.id / "cgroup.procs").read_text().split() == [str(container.pid())]
        assert (top / container.id).stat().st_uid == UID
        runtime("pause", container.id)
        assert container.status() == "paused"
        runtime("resume", container.id)
        assert json.loads(runtime("ps", "--format", "json", container.id).stdout) == [
            container.pid()]
        container.kill("KILL", "--all")
        container.wait()
        container.delete()
        assert not (top / container.id).exists()

    @pytest.mark.checklist(85, 104)
    @pytest.mark.skipif("pids" not in controllers(), reason="no pids controller")
    def test_limits(self, bundle, runtime, top):
        bundle.linux["resources"] = {"pids": {"limit": 5}, "memory": {"limit": 64 << 20}}
        bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup",
                     options=["nosuid", "noexec", "nodev", "relatime", "ro"])
        seen = bundle.run("read=/sys/fs/cgroup/pids.max", "read=/sys/fs/cgroup/memory.max",
                          "forks=20")
        assert seen["read=/sys/fs/cgroup/pids.max"] == "5\n"
        assert seen["read=/sys/fs/cgroup/memory.max"] == f"{64 << 20}\n"
        assert seen["forks=20"] == {"made": 4, "errno": "EAGAIN"}

    def test_cgroup_of_the_caller_is_out_of_reach(self, bundle, runtime, top):
        """CVE-2023-25809: the host's file system would let this user write there."""
        bundle.without_namespace("cgroup")
        bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup",
                     options=["nosuid", "noexec", "nodev", "relatime", "ro"])
        inside = f"/sys/fs/cgroup/{top.name}/caller/cgroup.procs"
        seen = bundle.run("write=/sys/fs/cgroup/cgroup.procs,0", f"write={inside},0",
                          "statvfs=/sys/fs/cgroup")
        assert seen["write=/sys/fs/cgroup/cgroup.procs,0"] != "0"
        assert seen[f"write={inside},0"] != "0"
        assert seen["statvfs=/sys/fs/cgroup"]["readonly"]

    @pytest.mark.coracle
    def test_spec_for_a_user_shows_no_writable_cgroup(self, alone, runtime, top):
        runtime("spec", "--rootless", "--bundle", alone.path)
        spec = json.loads((alone.path / "config.json").read_text())
        spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"]
                                       if one["type"] != "cgroup"]
        spec["mounts"] = [one for one in spec["mounts"] if one["destination"] != "/sys/fs/cgroup"]
        path = f"{cgroup_mount()}/{top.name}/caller/cgroup.procs"
        spec["process"] |= {"terminal": False,
                            "args": ["/probe", f"stat={path}", f"write={path},0"]}
        (alone.path / "config.json").write_text(json.dumps(spec))
        name = f"spec-{os.getpid()}"
        alone.made.append(name)
        seen = facts(runtime("run", "--bundle", alone.path, name).stdout)
        assert seen[f"stat={path}"]["type"] == "-" and seen[f"write={path},0"] == "EROFS"
