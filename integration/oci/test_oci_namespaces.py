"""config-linux.md#namespaces: new, inherited, joined; and the mappings of user and time."""

import os
import pathlib
import subprocess

import pytest

from lib.wait import wait_until

FILES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts",
         "cgroup": "cgroup", "user": "user", "time": "time"}


def own(kind):
    return os.readlink(f"/proc/self/ns/{FILES[kind]}")


@pytest.mark.checklist(67)
@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts", "cgroup", "time"])
def test_new_one(bundle, kind):
    bundle.without_namespace(kind)
    bundle.linux["namespaces"].append({"type": kind})
    assert bundle.run("ns")["ns"][FILES[kind]] != own(kind)


@pytest.mark.checklist(70)
@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts", "cgroup", "time"])
def test_absent_one_is_inherited(bundle, kind):
    bundle.without_namespace(kind)
    if kind == "network":  # sysfs belongs to the network namespace
        bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["destination"] != "/sys"]
    assert bundle.run("ns")["ns"][FILES[kind]] == own(kind)


@pytest.mark.checklist(69)
@pytest.mark.parametrize("kind", ["pid", "network", "ipc", "uts", "cgroup", "time"])
def test_joined_by_path(bundle, runtime, kind):
    holder = bundle.start() if kind != "time" else None
    if kind == "time":
        bundle.linux["namespaces"].append({"type": "time"})
        holder = bundle.start()
    path = f"/proc/{holder.pid()}/ns/{FILES[kind]}"
    bundle.without_namespace(kind)
    bundle.linux["namespaces"].append({"type": kind, "path": path})
    assert bundle.run("ns")["ns"][FILES[kind]] == os.readlink(path)


@pytest.mark.checklist(69)
def test_path_of_another_kind(bundle):
    bundle.without_namespace("uts")
    bundle.linux["namespaces"].append({"type": "uts", "path": "/proc/self/ns/net"})
    bundle.refused()


@pytest.mark.checklist(69, 131)
def test_path_that_is_not_there(bundle):
    bundle.without_namespace("uts")
    bundle.linux["namespaces"].append({"type": "uts", "path": "/nonexistent/ns"})
    assert "/nonexistent/ns" in bundle.refused()


@pytest.mark.checklist(7, 8)
def test_hostname_and_domainname(bundle):
    bundle.spec |= {"hostname": "inside", "domainname": "example.org"}
    before = os.uname().nodename
    seen = bundle.run("uname")["uname"]
    assert (seen["nodename"], seen["domainname"]) == ("inside", "example.org")
    assert os.uname().nodename == before


@pytest.mark.checklist(67)
def test_first_process_of_a_pid_namespace(bundle):
    assert bundle.run("pid")["pid"] == 1


def test_loopback_is_up(bundle):
    up = 1
    assert int(bundle.run("read=/sys/class/net/lo/flags")["read=/sys/class/net/lo/flags"], 16) & up


@pytest.mark.checklist(67, 73)
def test_user_namespace(bundle):
    bundle.with_user_namespace()
    seen = bundle.run("ns", "ids", "read=/proc/self/uid_map", "read=/proc/self/gid_map",
                      "write=/data/made")
    assert seen["ns"]["user"] != own("user")
    assert seen["ids"]["uid"] == 0
    assert seen["read=/proc/self/uid_map"].split() == ["0", "100000", "65536"]
    assert seen["read=/proc/self/gid_map"].split() == ["0", "100000", "65536"]
    assert (bundle.rootfs / "data/made").stat().st_uid == 100000


@pytest.mark.checklist(73)
def test_user_namespace_with_several_mappings_and_another_user(bundle):
    bundle.with_user_namespace()
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1},
                                   {"containerID": 1000, "hostID": 200000, "size": 10}]
    bundle.process["user"] = {"uid": 1001, "gid": 0}
    seen = bundle.run("ids", "write=/tmp/made")
    assert seen["ids"]["uid"] == 1001 and seen["write=/tmp/made"] == "0"
    assert (bundle.rootfs / "tmp/made").stat().st_uid == 200001


@pytest.mark.checklist(77)
def test_user_namespace_with_devices(bundle):
    bundle.with_user_namespace()
    seen = bundle.run("stat=/dev/null", "open-rw=/dev/null", "open-rw=/dev/zero", "mknod=c,1,3")
    assert seen["stat=/dev/null"]["major"] == 1 and seen["stat=/dev/null"]["minor"] == 3
    assert seen["open-rw=/dev/null"] == seen["open-rw=/dev/zero"] == "0"
    assert seen["mknod=c,1,3"] == "EPERM"


@pytest.mark.checklist(77)
@pytest.mark.parametrize("capability", ["mknod", "sys_chroot"])
def test_runtime_without_a_capability(bundle, capability):
    """Host's devices serve where none can be made, the host's mounts where no other can be used."""
    bundle.linux["maskedPaths"] = ["/proc/keys"]
    bundle.prefix = ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]
    seen = bundle.run("stat=/dev/null", "open-rw=/dev/null", "open-rw=/dev/zero", "read=/proc/keys")
    assert seen["stat=/dev/null"]["major"] == 1 and seen["stat=/dev/null"]["minor"] == 3
    assert seen["open-rw=/dev/null"] == seen["open-rw=/dev/zero"] == "0"
    assert seen["read=/proc/keys"] == ""


@pytest.mark.checklist(69)
def test_join_a_user_namespace(bundle):
    bundle.with_user_namespace()
    holder = bundle.start()
    path = f"/proc/{holder.pid()}/ns/user"
    bundle.without_namespace("user")
    del bundle.linux["uidMappings"], bundle.linux["gidMappings"]
    bundle.linux["namespaces"].append({"type": "user", "path": path})
    seen = bundle.run("ns", "ids", "read=/proc/self/uid_map")
    assert seen["ns"]["user"] == os.readlink(path)
    assert seen["read=/proc/self/uid_map"].split() == ["0", "100000", "65536"]


@pytest.mark.checklist(69)
def test_join_all_of_another_container(bundle):
    """As a pod does: everything but mount and cgroup is shared."""
    holder = bundle.start()
    shared = ("pid", "network", "ipc", "uts")
    for kind in shared:
        bundle.without_namespace(kind)
        bundle.linux["namespaces"].append(
            {"type": kind, "path": f"/proc/{holder.pid()}/ns/{FILES[kind]}"})
    seen = bundle.run("ns", "pid")
    assert seen["pid"] != 1
    for kind in shared:
        assert seen["ns"][FILES[kind]] == os.readlink(f"/proc/{holder.pid()}/ns/{FILES[kind]}")


@pytest.mark.checklist(68)
def test_time_offsets(bundle):
    bundle.linux["namespaces"].append({"type": "time"})
    bundle.linux["timeOffsets"] = {"monotonic": {"secs": 86400}, "boottime": {"secs": 2 * 86400}}
    uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    seen = bundle.run("clock=monotonic", "clock=boottime", "read=/proc/self/timens_offsets")
    assert seen["clock=monotonic"] >= 86400 and seen["clock=boottime"] >= 2 * 86400 + int(uptime)
    offsets = {line.split()[0]: line.split()[1]
               for line in seen["read=/proc/self/timens_offsets"].splitlines()}
    assert offsets["monotonic"] == "86400" and offsets["boottime"] == "172800"


@pytest.mark.checklist(69)
def test_network_namespace_made_by_someone_else(bundle, directory):
    pin = directory / "netns"
    pin.touch()
    script = f"mount --bind /proc/self/ns/net {pin}"
    subprocess.run(["unshare", "--net", "sh", "-c", script], check=True)
    try:
        bundle.without_namespace("network")
        bundle.linux["namespaces"].append({"type": "network", "path": str(pin)})
        seen = bundle.run("ns")["ns"]["net"]
        assert seen == f"net:[{pin.stat().st_ino}]"
    finally:
        subprocess.run(["umount", pin], check=True)


@pytest.mark.checklist(70)
@pytest.mark.deviates("runc", "crun")  # leaves its mounts there; makes none of them
def test_inherited_mount_namespace_stays_as_it_was(bundle, runtime):
    """A mount namespace of the test plays the host's. The container has its mounts all the same,
    or is refused."""
    own_mounts = os.readlink("/proc/self/ns/mnt")
    with subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep",
                           "infinity"]) as host:
        mountinfo = pathlib.Path(f"/proc/{host.pid}/mountinfo")
        try:
            wait_until(lambda: os.readlink(f"/proc/{host.pid}/ns/mnt") != own_mounts, "a namespace")
            wait_until(lambda: " shared:" not in mountinfo.read_text(), "private mounts")
            runtime.prefix = ["nsenter", f"--mount=/proc/{host.pid}/ns/mnt", "--"]
            before = mountinfo.read_text()
            bundle.without_namespace("mount")
            done = bundle.run_text("read=/proc/self/cgroup", code=None)
            assert done.returncode != 0 or '"read=/proc/self/cgroup": "' in done.stdout
            assert mountinfo.read_text() == before
        finally:
            runtime.prefix = []
            host.kill()


@pytest.mark.checklist(70)
@pytest.mark.endangers("runc", "crun")
def test_without_a_mount_namespace_no_mount_of_the_host_changes(bundle, directory):
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    bundle.without_namespace("mount")
    (bundle.rootfs / "etc/here").write_text("inside")
    (directory / "bound").write_text("bound")
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=["ro"])
    bundle.mount("/tmp", type="bind", source=str(directory), options=["rbind"])
    bundle.linux["maskedPaths"] = ["/etc/passwd", "/proc/kcore"]
    bundle.linux["readonlyPaths"] = ["/proc/sys"]
    facts = ("ns", "read=/etc/here", "read=/tmp/bound", "read=/etc/passwd", "list=/data",
             "open-w=/proc/sys/kernel/hostname", "stat=/dev/null", "cwd")
    container = bundle.start(*facts, "sleep")
    inside = container.wait_facts("cwd")
    for seen in (inside, container.exec(*facts)):
        assert seen["ns"]["mnt"] == own("mount")
        assert seen["read=/etc/here"] == "inside" and seen["read=/tmp/bound"] == "bound"
        assert seen["read=/etc/passwd"] == "" and seen["list=/data"] == []
        assert seen["open-w=/proc/sys/kernel/hostname"] == "EROFS"
        assert seen["stat=/dev/null"]["type"] == "c"
        assert seen["cwd"] == "/"
    assert pathlib.Path("/proc/self/mountinfo").read_text() == mounts
    container.kill("KILL")
    container.wait()
    container.delete()
    assert pathlib.Path("/proc/self/mountinfo").read_text() == mounts


@pytest.mark.checklist(70)
@pytest.mark.endangers("runc", "crun")
def test_the_mount_namespace_of_the_caller_given_by_its_path(bundle):
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    bundle.without_namespace("mount")
    bundle.linux["namespaces"].append({"type": "mount", "path": "/proc/self/ns/mnt"})
    container = bundle.start("stat=/probe", "sleep")
    container.wait_facts("stat=/probe")
    assert container.exec("ns")["ns"]["mnt"] == own("mount")
    assert pathlib.Path("/proc/self/mountinfo").read_text() == mounts


@pytest.mark.checklist(70)
@pytest.mark.endangers("runc", "crun")
def test_without_any_namespace(bundle):
    bundle.namespaces()
    container = bundle.start("ns", "sleep")
    for seen in (container.wait_facts("ns"), container.exec("ns")):
        assert seen["ns"] == {file: own(kind) for kind, file in FILES.items()}


@pytest.mark.coracle
def test_a_user_namespace_needs_a_mount_namespace(bundle):
    bundle.with_user_namespace()
    bundle.without_namespace("mount")
    assert "/linux/namespaces" in bundle.refused()
