"""Containers of a user without privileges, and of the root of somebody's user namespace."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

from lib.user import COUNT, SUBORDINATE, UID, User
from lib.wait import wait_until
from oci.harness import alive, facts, mount_options
from oci.rootless import (OWN_ID, AsSomebody, UserBundle, alone, bundle, ids_of_map,
                          runtime, user)

pytestmark = pytest.mark.skipif(shutil.which("newuidmap") is None, reason="no newuidmap(1)")


@pytest.mark.checklist(73)
def test_all_subordinate_ids(bundle):
    seen = bundle.run("ids", "read=/proc/self/uid_map", "read=/proc/self/gid_map",
                      "read=/proc/self/setgroups")
    assert (seen["ids"]["uid"], seen["ids"]["gid"]) == (0, 0)
    expected = [[0, UID, 1], [1, SUBORDINATE, COUNT]]
    assert ids_of_map(seen["read=/proc/self/uid_map"]) == expected
    assert ids_of_map(seen["read=/proc/self/gid_map"]) == expected
    assert seen["read=/proc/self/setgroups"] == "allow\n"


@pytest.mark.checklist(73)
def test_own_id_alone(alone):
    seen = alone.run("ids", "read=/proc/self/uid_map", "read=/proc/self/setgroups")
    assert (seen["ids"]["uid"], seen["ids"]["gid"]) == (0, 0)
    assert ids_of_map(seen["read=/proc/self/uid_map"]) == [[0, UID, 1]]
    assert seen["read=/proc/self/setgroups"] == "deny\n"


@pytest.mark.checklist(73)
def test_files_belong_to_the_subordinate_ids(bundle):
    bundle.mount("/out", type="bind", source=str(bundle.rootfs / "tmp"), options=["rbind", "rw"])
    bundle.run("write=/out/of-root")
    bundle.process["user"] = {"uid": 1000, "gid": 2000}
    bundle.run("write=/out/of-user")
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid)
              for path in (bundle.rootfs / "tmp").iterdir()}
    assert owners == {"of-root": (UID, UID),
                      "of-user": (SUBORDINATE + 999, SUBORDINATE + 1999)}


def test_ids_that_are_not_the_users(bundle):
    bundle.linux["uidMappings"] = [*OWN_ID, {"containerID": 1, "hostID": 1, "size": 10}]
    message = bundle.refused()
    assert "newuidmap" in message


@pytest.mark.deviates("crun")
def test_user_namespace_is_needed(bundle):
    bundle.without_namespace("user")
    del bundle.linux["uidMappings"], bundle.linux["gidMappings"]
    assert "user namespace" in bundle.refused()


@pytest.mark.coracle
def test_user_that_is_not_mapped(alone):
    alone.process["user"] = {"uid": 1000, "gid": 0}
    assert "/process/user/uid: 1000 is not mapped" in alone.refused()


@pytest.mark.checklist(53)
@pytest.mark.deviates("runc")  # never without root
def test_groups(bundle):
    bundle.process["user"]["additionalGids"] = [7, 42]
    assert bundle.run("ids")["ids"]["groups"] == [7, 42]


@pytest.mark.deviates("crun")
def test_groups_where_setgroups_is_denied(alone):
    alone.process["user"]["additionalGids"] = [0]
    alone.write("ids")
    done = alone.runtime("run", "--bundle", alone.path, alone.new_container(), code=None)
    assert done.returncode != 0 and "group" in done.stderr.lower()


@pytest.mark.checklist(77)
def test_devices_are_the_hosts(bundle):
    names = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
             "tty": (5, 0)}
    seen = bundle.run(*[f"stat=/dev/{name}" for name in names], "open-rw=/dev/null", "mounts",
                      "mknod=c,1,3", "stat=/dev/ptmx", "stat=/dev/fd")
    for name, (major, minor) in names.items():
        assert (seen[f"stat=/dev/{name}"]["major"], seen[f"stat=/dev/{name}"]["minor"]) == (
            major, minor)
    assert seen["open-rw=/dev/null"] == "0" and seen["mknod=c,1,3"] == "EPERM"
    assert mount_options(seen["mounts"], "/dev/null") is not None
    assert seen["stat=/dev/ptmx"]["target"].endswith("pts/ptmx")


@pytest.mark.deviates("crun")
def test_listed_device_is_bound(bundle):
    bundle.linux["devices"] = [{"type": "c", "path": "/dev/zero", "major": 1, "minor": 5},
                               {"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229}]
    if not os.path.exists("/dev/fuse"):
        bundle.linux["devices"].pop()
    seen = bundle.run(*[f"stat={device['path']}" for device in bundle.linux["devices"]])
    for device in bundle.linux["devices"]:
        assert seen[f"stat={device['path']}"]["minor"] == device["minor"]


@pytest.mark.coracle
def test_group_of_terminals_that_is_not_mapped(alone):
    alone.spec["mounts"][2]["options"].append("gid=5")
    assert "/mounts/2/options: gid=5 is not mapped" in alone.refused()


def test_mounts(bundle):
    bundle.mount("/dev/mqueue", type="mqueue", source="mqueue",
                 options=["nosuid", "noexec", "nodev"])
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=["size=1m"])
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup",
                 options=["nosuid", "noexec", "nodev", "relatime", "ro"])
    bundle.linux["maskedPaths"] = ["/proc/cpuinfo", "/sys/firmware"]
    bundle.linux["readonlyPaths"] = ["/proc/sys"]
    seen = bundle.run("mounts", "list=/sys/firmware", "statvfs=/proc/sys",
                      "read=/proc/cpuinfo", "pid")
    kinds = {path: mount_options(seen["mounts"], path)[1]
             for path in ("/proc", "/sys", "/dev", "/dev/pts", "/dev/mqueue", "/data")}
    assert kinds == {"/proc": "proc", "/sys": "sysfs", "/dev": "tmpfs", "/dev/pts": "devpts",
                     "/dev/mqueue": "mqueue", "/data": "tmpfs"}
    assert seen["list=/sys/firmware"] == [] and seen["read=/proc/cpuinfo"] == ""
    assert seen["statvfs=/proc/sys"]["readonly"]
    assert seen["pid"] == 1
    assert not any(str(bundle.path) in line.split()[4] for line in seen["mounts"])


@pytest.mark.deviates("crun", "runc")  # runc cannot give the caller's streams to a container's root
def test_bind_source_that_only_the_user_may_reach(bundle, directory):
    """The container's root is a subordinate id: the way there was the caller's."""
    hidden = directory / "hidden"
    (hidden / "source").mkdir(parents=True)
    (hidden / "source/file").write_text("seen")
    User.own(hidden)
    hidden.chmod(0o700)
    bundle.mount("/data", type="bind", source=str(hidden / "source"), options=["rbind", "ro"])
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [
        {"containerID": 0, "hostID": SUBORDINATE, "size": COUNT}]
    seen = bundle.run("read=/data/file", "statvfs=/data")
    assert seen["read=/data/file"] == "seen" and seen["statvfs=/data"]["readonly"]


@pytest.mark.coracle
def test_bind_of_a_tree_needs_rbind(bundle):
    bundle.mount("/data", type="bind", source="/", options=["bind"])
    message = bundle.refused()
    assert "/mounts/5" in message and "rbind" in message


def test_root_that_is_not_there(bundle):
    bundle.spec["root"]["path"] = "nowhere"
    assert "nowhere" in bundle.refused()


def test_hosts_network_and_its_sysfs(bundle):
    bundle.without_namespace("network")
    bundle.spec["mounts"] = [mount for mount in bundle.spec["mounts"]
                             if mount["destination"] != "/sys"]
    bundle.mount("/sys", type="none", source="/sys",
                 options=["rbind", "nosuid", "noexec", "nodev", "ro"])
    seen = bundle.run("mounts", "open-w=/sys/kernel/uevent_helper", "ns")
    assert mount_options(seen["mounts"], "/sys")[1] == "sysfs"
    assert seen["ns"]["net"] == os.readlink("/proc/self/ns/net")


@pytest.mark.deviates("crun", "runc")
def test_sysfs_of_the_hosts_network(bundle):
    bundle.without_namespace("network")
    seen = bundle.run("mounts", "statvfs=/sys")
    assert mount_options(seen["mounts"], "/sys")[1] == "sysfs"
    assert seen["statvfs=/sys"]["readonly"]


def test_life(bundle, runtime):
    container = bundle.create("print=hello", "trap=7", "sleep")
    assert container.status() == "created"
    container.start()
    container.wait("running")
    pid = container.pid()
    assert pathlib.Path(f"/proc/{pid}").stat().st_uid == UID
    listed = json.loads(runtime("list", "--format", "json").stdout)
    assert [(one["id"], one["status"]) for one in listed] == [(container.id, "running")]
    wait_until(lambda: "hello" in container.text(), "the program ran")
    container.kill("TERM")
    container.wait("stopped")
    container.delete()
    assert not alive(pid)


def test_exec(bundle):
    container = bundle.start("sleep")
    first, seen = container.pid(), container.exec("ids", "ns", "pid", "caps", "cwd")
    assert seen["ids"]["uid"] == 0 and seen["pid"] > 1
    for kind in ("mnt", "net", "pid", "ipc", "uts", "user", "cgroup"):
        assert seen["ns"][kind] == os.readlink(f"/proc/{first}/ns/{kind}"), kind
    seen = container.exec("ids", options=("--user", "1000:1000"))
    assert (seen["ids"]["uid"], seen["ids"]["gid"]) == (1000, 1000)
    container.exec("exit=3", code=3)


def test_exec_where_only_the_own_id_is_mapped(alone):
    container = alone.start("sleep")
    assert container.exec("ids")["ids"]["uid"] == 0


@pytest.mark.deviates("runc")  # wants mappings for a namespace that has them
def test_joined_by_path(bundle):
    """A second container in the user namespace and network of the first."""
    first = bundle.start("sleep").pid()
    bundle.namespaces("pid", "mount", "ipc", "uts",
                      {"type": "user", "path": f"/proc/{first}/ns/user"},
                      {"type": "network", "path": f"/proc/{first}/ns/net"})
    del bundle.linux["uidMappings"], bundle.linux["gidMappings"]
    seen = bundle.run("ns", "ids")
    assert seen["ns"]["user"] == os.readlink(f"/proc/{first}/ns/user")
    assert seen["ns"]["net"] == os.readlink(f"/proc/{first}/ns/net")
    assert seen["ids"]["uid"] == 0


def test_terminal(bundle, console_socket):
    os.chmod(console_socket.path, 0o777)
    bundle.process["terminal"] = True
    container = bundle.create("tty", options=("--console-socket", console_socket.path))
    master = console_socket.master()
    container.start()
    container.wait()
    seen = facts(os.read(master, 65536).decode())
    os.close(master)
    assert seen["tty"]["isatty"] == [True] * 3 and seen["tty"]["controlling"]


def test_seccomp_and_capabilities(bundle):
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
    names = ["CAP_KILL", "CAP_CHOWN"]
    bundle.process["capabilities"] = {name: names for name in
                                      ("bounding", "effective", "permitted")}
    seen = bundle.run("syscall=mkdir", "caps")
    assert seen["syscall=mkdir"] == "EOPNOTSUPP"
    assert int(seen["caps"]["effective"], 16) == 1 << 5 | 1 << 0


@pytest.mark.checklist(47)
@pytest.mark.deviates("crun", "runc")
def test_lower_oom_score_is_a_warning(bundle):
    bundle.process["oomScoreAdj"] = -500
    done = bundle.run_text("read=/proc/self/oom_score_adj")
    assert "oomScoreAdj" in done.stderr
    assert int(facts(done.stdout)["read=/proc/self/oom_score_adj"]) >= 0


@pytest.mark.checklist(47)
@pytest.mark.deviates("crun")
def test_higher_oom_score(bundle):
    bundle.process["oomScoreAdj"] = 321
    container = bundle.start("read=/proc/self/oom_score_adj", "sleep")
    seen = container.wait_facts("read=/proc/self/oom_score_adj")
    assert int(seen["read=/proc/self/oom_score_adj"]) == 321
    seen = container.exec("read=/proc/self/oom_score_adj")
    assert int(seen["read=/proc/self/oom_score_adj"]) == 321


@pytest.mark.deviates("crun")
def test_spec_works_as_it_is(alone, runtime):
    """The example's shell apart, which needs a terminal and an image."""
    os.unlink(alone.path / "config.json") if (alone.path / "config.json").exists() else None
    runtime("spec", "--rootless", "--bundle", alone.path)
    spec = json.loads((alone.path / "config.json").read_text())
    assert spec["linux"]["uidMappings"] == OWN_ID and spec["linux"]["gidMappings"] == OWN_ID
    spec["process"] |= {"terminal": False,
                        "args": ["/probe", "ids", "write=/sys/fs/cgroup/cgroup.procs,0"]}
    User.own(alone.path)
    (alone.path / "config.json").write_text(json.dumps(spec))
    name = f"spec-{os.getpid()}"
    alone.made.append(name)
    seen = facts(runtime("run", "--bundle", alone.path, name).stdout)
    assert seen["ids"]["uid"] == 0
    assert seen["write=/sys/fs/cgroup/cgroup.procs,0"] != "0"


@pytest.mark.coracle
def test_default_root(bundle, runtime, user):
    container = bundle.new_container()
    bundle.write("exit=5")
    assert runtime.without_root("run", "--bundle", bundle.path, container).returncode == 5
    assert (user.runtime_directory / "coracle").is_dir()
    bundle.write("sleep")
    runtime.without_root("--rootless", "auto", "list")
    listed = subprocess.run([*runtime.prefix, "env", "-u", "XDG_RUNTIME_DIR", runtime.program,
                             "run", "--bundle", bundle.path, container], text=True, check=False,
                            capture_output=True, stdin=subprocess.DEVNULL)
    assert listed.returncode == 1
    assert f"/run/user/{UID}" in listed.stderr and "XDG_RUNTIME_DIR" in listed.stderr


@pytest.mark.coracle
def test_option_rootless(bundle, runtime):
    """`false` promises that everything is as for root: so no cgroup is an error."""
    bundle.write("exit=0")
    message = runtime.fails("--rootless", "false", "run", "--bundle", bundle.path,
                            bundle.new_container())
    assert "make-cgroup" in message
    runtime("--rootless", "true", "run", "--bundle", bundle.path, bundle.new_container())


@pytest.mark.coracle
def test_program_of_the_runtime_is_out_of_reach(bundle):
    """CVE-2019-5736: the user may own the program, and so may the container's root."""
    container = bundle.create("sleep")
    assert os.readlink(f"/proc/{container.pid()}/exe").startswith("/memfd:")


class TestNested:
    """As root of a user namespace that somebody else made."""

    @pytest.fixture(params=["--map-root-user", "--map-root-user --mount-proc --pid --fork"])
    def runtime(self, runtime_program, directory, user, request):
        return AsSomebody(runtime_program, directory,
                          [*user.prefix, "unshare", "--user", *request.param.split()])

    @pytest.fixture
    def bundle(self, runtime, directory, probe):
        made = UserBundle(runtime, directory, probe, OWN_ID)
        made.without_namespace("user")
        del made.linux["uidMappings"], made.linux["gidMappings"]
        yield made

    def test_run(self, bundle):
        seen = bundle.run("ids", "mounts", "stat=/dev/null", "read=/proc/self/uid_map",
                          "open-rw=/dev/null")
        assert seen["ids"]["uid"] == 0 and seen["stat=/dev/null"]["minor"] == 3
        assert ids_of_map(seen["read=/proc/self/uid_map"]) == [[0, UID, 1]]
        assert mount_options(seen["mounts"], "/proc")[1] == "proc"
        assert seen["open-rw=/dev/null"] == "0"

    def test_user_namespace_in_a_user_namespace(self, bundle):
        bundle.linux["namespaces"].append({"type": "user"})
        bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [
            {"containerID": 0, "hostID": 0, "size": 1}]
        assert bundle.run("ids")["ids"]["uid"] == 0

    @pytest.mark.coracle
    def test_exec_and_kill(self, bundle, runtime):
        """Each verb in a user namespace of its own would own nothing: so all in one."""
        bundle.write("sleep")
        program = f"{runtime.program} --root {runtime.root}"
        script = (f"{program} run --detach --bundle {bundle.path} nested >/dev/null </dev/null && "
                  f"{program} exec nested /probe ids; {program} kill nested KILL; "
                  f"sleep 1; {program} delete --force nested")
        done = subprocess.run([*runtime.prefix, "sh", "-c", script], text=True, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL)
        assert facts(done.stdout)["ids"]["uid"] == 0, done.stderr
        assert done.returncode == 0, done.stderr
        assert not (runtime.root / "nested").exists()
