"""linux.resources: each limit in its cgroup file, and as the container meets it. What needs a
controller that this host's cgroup v2 lacks is skipped here and runs in the VM."""

import contextlib
import json
import pathlib
import re
import time

import pytest

from oci.harness import cgroup_mount, controllers

MIB = 1 << 20
CGROUP = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
          "options": ["nosuid", "noexec", "nodev", "ro"]}


@pytest.fixture(autouse=True)
def cgroup_inside(bundle):
    bundle.spec["mounts"].append(CGROUP)


@pytest.fixture
def needs():
    def check(*names):
        missing = set(names) - controllers()
        if missing:
            pytest.skip(f"no cgroup v2 controller {', '.join(sorted(missing))} on this host")
    return check


def inside(bundle, resources, *files, acts=()):
    """The text of cgroup files as the container reads them."""
    bundle.linux["resources"] = resources
    seen = bundle.run(*[f"read=/sys/fs/cgroup/{file}" for file in files], *acts)
    return [(seen[f"read=/sys/fs/cgroup/{file}"] or "missing").strip() for file in files]


# Every plain limit: (row of the checklist, controller, resources, {file: text}).
LIMITS = [
    (85, "memory", {"memory": {"limit": 64 * MIB}}, {"memory.max": str(64 * MIB)}),
    (85, "memory", {"memory": {"limit": -1}}, {"memory.max": "max"}),
    (86, "memory", {"memory": {"reservation": 32 * MIB}}, {"memory.low": str(32 * MIB)}),
    (85, "memory", {"memory": {"limit": 64 * MIB, "swap": 64 * MIB}},
     {"memory.max": str(64 * MIB)}),
    (88, "memory", {"memory": {"limit": 64 * MIB, "kernel": 1, "kernelTCP": 1}},
     {"memory.max": str(64 * MIB)}),
    (85, "memory", {"memory": {"limit": 64 * MIB, "swap": -1}}, {"memory.max": str(64 * MIB)}),
    (93, "cpu", {"cpu": {"shares": 1024}}, {"cpu.weight": "100"}),
    (93, "cpu", {"cpu": {"shares": 2}}, {"cpu.weight": "1"}),
    (93, "cpu", {"cpu": {"shares": 262144}}, {"cpu.weight": "10000"}),
    (93, "cpu", {"cpu": {"shares": 512}}, {"cpu.weight": "59"}),
    (94, "cpu", {"cpu": {"quota": 50000, "period": 100000}}, {"cpu.max": "50000 100000"}),
    (94, "cpu", {"cpu": {"quota": 25000}}, {"cpu.max": "25000 100000"}),
    (94, "cpu", {"cpu": {"period": 50000}}, {"cpu.max": "max 50000"}),
    (94, "cpu", {"cpu": {"quota": -1, "period": 100000}}, {"cpu.max": "max 100000"}),
    (95, "cpu", {"cpu": {"quota": 50000, "period": 100000, "burst": 20000}},
     {"cpu.max.burst": "20000"}),
    (98, "cpu", {"cpu": {"idle": 1}}, {"cpu.idle": "1"}),
    (97, "cpuset", {"cpu": {"cpus": "0", "mems": "0"}}, {"cpuset.cpus": "0", "cpuset.mems": "0"}),
    (104, "pids", {"pids": {"limit": 17}}, {"pids.max": "17"}),
    (104, "pids", {"pids": {"limit": -1}}, {"pids.max": "max"}),
    (91, "memory", {"memory": {"limit": 64 * MIB, "useHierarchy": True}},
     {"memory.max": str(64 * MIB)}),
    (102, "hugetlb", {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]},
     {"hugetlb.2MB.max": str(4 * MIB), "hugetlb.2MB.rsvd.max": str(4 * MIB)}),
    (106, "memory", {"unified": {"memory.high": str(48 * MIB)}}, {"memory.high": str(48 * MIB)}),
    (106, "pids", {"pids": {"limit": 5}, "unified": {"pids.max": "6"}}, {"pids.max": "6"}),
    (106, "cpu", {"unified": {"cpu.max": "30000 90000"}}, {"cpu.max": "30000 90000"}),
]


@pytest.mark.parametrize("controller, resources, files", [
    pytest.param(*case, marks=pytest.mark.checklist(row),
                 id=json.dumps(case[1]).replace(" ", "")) for row, *case in LIMITS])
def test_limit_in_its_file(bundle, needs, controller, resources, files):
    needs(controller)
    assert inside(bundle, resources, *files) == list(files.values())


@pytest.mark.checklist(87)
def test_swap_is_what_exceeds_memory(bundle, needs):
    needs("memory")
    resources = {"memory": {"limit": 64 * MIB, "swap": 96 * MIB}}
    bundle.linux["resources"] = {}
    has_swap = bundle.run("read=/sys/fs/cgroup/memory.swap.max")
    if has_swap["read=/sys/fs/cgroup/memory.swap.max"] is None:
        pytest.skip("this kernel accounts no swap")
    assert inside(bundle, resources, "memory.swap.max") == [str(32 * MIB)]


@pytest.mark.checklist(85)
def test_memory_limit_kills(bundle, needs, runtime):
    needs("memory")
    bundle.linux["resources"] = {"memory": {"limit": 32 * MIB, "swap": 32 * MIB}}
    bundle.run(f"hog={16 * MIB}", "exit=0")
    container = bundle.create(f"hog={256 * MIB}", "print=survived")
    container.start()
    container.wait()
    assert "survived" not in container.text()
    events = (bundle.cgroup / "memory.events").read_text()
    assert int(re.search(r"oom_kill (\d+)", events).group(1)) >= 1


def test_memory_limit_below_what_a_start_needs(bundle, needs):
    needs("memory")
    bundle.linux["resources"] = {"memory": {"limit": 4096}}
    bundle.refused(verb="run")


@pytest.mark.checklist(104)
def test_pids_limit_holds(bundle, needs):
    needs("pids")
    bundle.linux["resources"] = {"pids": {"limit": 8}}
    forks = bundle.run("forks=20")["forks=20"]
    assert forks == {"made": 7, "errno": "EAGAIN"}


@pytest.mark.checklist(97)
def test_cpus_are_the_ones_given(bundle, needs):
    needs("cpuset")
    bundle.linux["resources"] = {"cpu": {"cpus": "0"}}
    assert bundle.run("affinity")["affinity"] == [0]


@pytest.mark.checklist(94)
def test_quota_throttles(bundle, needs):
    needs("cpu")
    bundle.linux["resources"] = {"cpu": {"quota": 10000, "period": 100000}}
    seen = bundle.run("burn=100", "read=/sys/fs/cgroup/cpu.stat")
    stat = seen["read=/sys/fs/cgroup/cpu.stat"]
    assert int(re.search(r"nr_throttled (\d+)", stat).group(1)) > 0


@pytest.mark.checklist(102)
def test_huge_page_limit_holds(bundle, needs):
    needs("hugetlb")
    pages = pathlib.Path("/proc/sys/vm/nr_hugepages")
    before = pages.read_text()
    try:
        pages.write_text("8")
        if int(pages.read_text()) < 8:
            pytest.skip("this host gives no huge pages")
        bundle.linux["resources"] = {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}]}
        assert bundle.run("hugepages=2", "hugepages=3") == {"hugepages=2": "0",
                                                           "hugepages=3": "ENOMEM"}
    finally:
        pages.write_text(before)


def scratch_device():
    """major:minor of the VM's scratch disk."""
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = [line.split() for line in lines]
    disks = [fields[2] for fields in mounts if fields[4] == "/scratch" and fields[2][:2] != "0:"]
    if not disks:
        pytest.skip("no disk of its own on /scratch to limit")
    return tuple(int(number) for number in disks[-1].split(":"))


@pytest.mark.checklist(101)
def test_io_throttle(bundle, needs):
    needs("io")
    major, minor = scratch_device()

    def limit(rate):
        return [{"major": major, "minor": minor, "rate": rate}]

    text, = inside(bundle, {"blockIO": {
        "throttleReadBpsDevice": limit(1 * MIB), "throttleWriteBpsDevice": limit(2 * MIB),
        "throttleReadIOPSDevice": limit(100), "throttleWriteIOPSDevice": limit(200)}}, "io.max")
    assert text == f"{major}:{minor} rbps={MIB} wbps={2 * MIB} riops=100 wiops=200"


@pytest.mark.checklist(99)
def test_io_weight(bundle, needs):
    needs("io")
    if inside(bundle, {}, "io.bfq.weight", "io.weight") == ["missing", "missing"]:
        pytest.skip("this kernel has no weights for io")
    bfq, plain = inside(bundle, {"blockIO": {"weight": 500}}, "io.bfq.weight", "io.weight")
    assert "500" in bfq or "4950" in plain


@pytest.mark.checklist(105)
def test_rdma_of_a_device_that_is_not_there(bundle, needs):
    needs("rdma")
    bundle.linux["resources"] = {"rdma": {"nosuch0": {"hcaHandles": 3}}}
    bundle.refused()


def test_several_at_once(bundle, needs):
    needs("memory", "cpu", "pids")
    resources = {"memory": {"limit": 64 * MIB}, "cpu": {"shares": 1024, "quota": 40000,
                 "period": 80000}, "pids": {"limit": 9}}
    files = ("memory.max", "cpu.weight", "cpu.max", "pids.max")
    assert inside(bundle, resources, *files) == [str(64 * MIB), "100", "40000 80000", "9"]


# Without any controller: these run everywhere.

@pytest.mark.checklist(82, 135)
def test_path_and_membership(bundle):
    container = bundle.start()
    assert (bundle.cgroup / "cgroup.procs").read_text().split() == [str(container.pid())]
    container.delete("--force")
    assert not bundle.cgroup.exists()


@pytest.mark.checklist(82)
def test_nested_path_and_no_path(bundle, runtime):
    parent = bundle.cgroup_parent
    bundle.new_id()
    bundle.linux["cgroupsPath"] = f"{parent}/deep/{bundle.id}"
    bundle.write("sleep")
    bundle.made.append(bundle.id)
    runtime.detached("run", "--detach", "--bundle", bundle.path, bundle.id)
    cgroup = cgroup_mount() / parent.lstrip("/") / "deep" / bundle.id
    assert (cgroup / "cgroup.procs").read_text().strip()
    runtime("delete", "--force", bundle.id)
    assert not cgroup.exists()
    with contextlib.suppress(FileNotFoundError):  # coracle removes the empty parent, too
        cgroup.parent.rmdir()


@pytest.mark.coracle
@pytest.mark.parametrize("path", ["/../../../escape", "/a/../../escape", "../escape"])
def test_path_stays_below_the_mount(bundle, runtime, path):
    bundle.linux["cgroupsPath"] = path
    bundle.process["args"] = ["/probe", "exit=0"]
    (bundle.path / "config.json").write_text(json.dumps(bundle.spec))
    runtime("create", "--bundle", bundle.path, "escaping", code=None, capture_output=False)
    runtime("delete", "--force", "escaping")
    escaped = []
    for above in map(pathlib.Path, ("/sys/fs/escape", "/sys/escape", "/escape")):
        if above.exists():
            escaped.append(above)
            above.rmdir()
    assert not escaped


@pytest.mark.checklist(83)
@pytest.mark.parametrize("writable", [True, False])
def test_delegation(bundle, writable):
    """To a user namespace that has a cgroup namespace and may write to its cgroup file system."""
    bundle.with_user_namespace()
    if writable:
        bundle.spec["mounts"][-1] = CGROUP | {
            "options": ["nosuid", "noexec", "nodev", "rw"]}
    container = bundle.start("mkdir=/sys/fs/cgroup/child", "print=ready", "sleep")
    made = container.wait_facts("mkdir=/sys/fs/cgroup/child")["mkdir=/sys/fs/cgroup/child"]
    assert made == ("0" if writable else "EROFS")
    owner = 100000 if writable else 0
    delegated = pathlib.Path("/sys/kernel/cgroup/delegate").read_text().split()
    assert bundle.cgroup.stat().st_uid == owner
    assert {(bundle.cgroup / name).stat().st_uid for name in delegated
            if (bundle.cgroup / name).exists()} == {owner}
    assert (bundle.cgroup / "cgroup.freeze").stat().st_uid == 0
    container.delete("--force")


@pytest.mark.parametrize("member, value", [
    pytest.param("swappiness", 10, marks=pytest.mark.checklist(89)),
    pytest.param("disableOOMKiller", True, marks=pytest.mark.checklist(90))])
def test_memory_of_version_1(bundle, needs, member, value):
    needs("memory")
    bundle.linux["resources"] = {"memory": {member: value}}
    assert f"/linux/resources/memory/{member}" in bundle.refused()


DENY = {"allow": False, "access": "rwm"}


@pytest.mark.checklist(84)
def test_devices(bundle):
    bundle.linux["resources"] = {"devices": [
        DENY, {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"},
        {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "r"}]}
    bundle.linux["devices"] = [{"type": "b", "path": "/dev/loop", "major": 7, "minor": 0}]
    seen = bundle.run("open-rw=/dev/null", "open-r=/dev/zero", "open-rw=/dev/loop")
    assert seen["open-rw=/dev/null"] == seen["open-r=/dev/zero"] == "0"
    assert seen["open-rw=/dev/loop"] == "EPERM"


@pytest.mark.checklist(84)
@pytest.mark.deviates("runc")
def test_later_device_rule_wins(bundle):
    bundle.linux["resources"] = {"devices": [
        DENY, {"allow": True, "type": "b", "access": "rwm"},
        {"allow": False, "type": "b", "major": 7, "access": "w"}]}
    bundle.linux["devices"] = [{"type": "b", "path": "/dev/loop", "major": 7, "minor": 0}]
    seen = bundle.run("open-r=/dev/loop", "open-w=/dev/loop")
    assert seen["open-r=/dev/loop"] != "EPERM" and seen["open-w=/dev/loop"] == "EPERM"


@pytest.mark.checklist(84)
def test_making_a_node_gives_no_access(bundle):
    caps = ["CAP_MKNOD"]
    bundle.process["capabilities"] = {"bounding": caps, "permitted": caps, "effective": caps}
    bundle.linux["resources"] = {"devices": [DENY]}
    seen = bundle.run("mknod=b,90,0", "open-r=/dev/probe-b,90,0")  # major 90 is nobody's
    assert seen["open-r=/dev/probe-b,90,0"] == "EPERM"


@pytest.mark.checklist(84)
def test_exec_is_under_the_same_rules(bundle):
    bundle.linux["resources"] = {"devices": [DENY]}
    bundle.linux["devices"] = [{"type": "b", "path": "/dev/loop", "major": 7, "minor": 0}]
    container = bundle.start()
    assert container.exec("open-r=/dev/loop") == {"open-r=/dev/loop": "EPERM"}


@pytest.mark.coracle
def test_controller_that_is_not_there(bundle):
    missing = {"memory", "pids", "cpu"} - controllers()
    if not missing:
        pytest.skip("this host has every controller")
    bundle.linux["resources"] = {"memory": {"limit": 64 * MIB}, "pids": {"limit": 3},
                                 "cpu": {"shares": 10}}
    message = bundle.refused()
    assert any(f"/linux/resources/{name}" in message for name in missing)


@pytest.mark.checklist(103)
@pytest.mark.deviates("runc")
def test_network_classes_have_no_place_in_v2(bundle):
    bundle.linux["resources"] = {"network": {"classID": 0x100001}}
    bundle.refused()


@pytest.mark.checklist(106)
def test_unified_file_that_is_not_there(bundle):
    bundle.linux["resources"] = {"unified": {"nosuch.max": "1"}}
    assert "nosuch" in bundle.refused()


def test_pause_freezes(bundle, runtime):
    container = bundle.start("trap=0", "print=ready", "burn=100000000")
    runtime("pause", container.id)
    usage = text(bundle, "cpu.stat").splitlines()[0]
    time.sleep(0.3)
    assert usage == text(bundle, "cpu.stat").splitlines()[0]
    runtime("resume", container.id)


def text(bundle, file):
    return (bundle.cgroup / file).read_text().strip()


@pytest.mark.checklist(85, 86, 94, 97, 104)
def test_update_by_options(bundle, needs, runtime):
    needs("memory", "cpu", "pids", "cpuset")
    bundle.linux["resources"] = {"memory": {"limit": 64 * MIB, "swap": 64 * MIB},
                                 "pids": {"limit": 20}}
    container = bundle.start()
    runtime("update", "--memory", str(32 * MIB), "--memory-swap", str(48 * MIB),
            "--memory-reservation", "16m", "--cpu-share", "2048", "--cpu-quota", "20000",
            "--cpu-period", "50000", "--cpuset-cpus", "0", "--pids-limit", "33", container.id)
    assert text(bundle, "memory.max") == str(32 * MIB)
    assert text(bundle, "memory.low") == str(16 * MIB)
    assert text(bundle, "cpu.max") == "20000 50000" and text(bundle, "cpuset.cpus") == "0"
    assert text(bundle, "pids.max") == "33"
    runtime("update", "--pids-limit", "-1", container.id)
    assert text(bundle, "pids.max") == "max" and text(bundle, "memory.max") == str(32 * MIB)
    assert container.exec("pid")["pid"] > 1


@pytest.mark.checklist(85, 94, 95)
def test_update_by_file(bundle, needs, runtime, directory):
    needs("memory", "cpu")
    container = bundle.start()
    file = directory / "resources.json"
    file.write_text(json.dumps({"memory": {"limit": 96 * MIB},
                                "cpu": {"quota": 30000, "period": 60000, "burst": 1000}}))
    runtime("update", "--resources", file, container.id)
    assert text(bundle, "memory.max") == str(96 * MIB)
    assert text(bundle, "cpu.max") == "30000 60000" and text(bundle, "cpu.max.burst") == "1000"
    runtime("update", "-r", "-", container.id, input='{"unified": {"memory.high": "67108864"}}')
    assert text(bundle, "memory.high") == str(64 * MIB)


@pytest.mark.checklist(92)
@pytest.mark.deviates("crun")
def test_check_before_update(bundle, needs, runtime):
    needs("memory")
    container = bundle.start(f"hog={16 * MIB}", "sleep")
    container.wait_facts("hog")
    below = {"memory": {"limit": 4 * MIB, "checkBeforeUpdate": True}}
    runtime.fails("update", "-r", "-", container.id, input=json.dumps(below))
    assert container.status() == "running" and text(bundle, "memory.max") == "max"


@pytest.mark.checklist(102)
@pytest.mark.deviates("runc")
def test_update_of_huge_pages(bundle, needs, runtime):
    needs("hugetlb")
    container = bundle.start()
    limits = {"hugepageLimits": [{"pageSize": "2MB", "limit": 6 * MIB}]}
    runtime("update", "-r", "-", container.id, input=json.dumps(limits))
    assert text(bundle, "hugetlb.2MB.max") == str(6 * MIB)


def test_update_that_the_kernel_refuses(bundle, needs, runtime):
    needs("cpu")
    container = bundle.start()
    runtime.fails("update", "--cpu-quota", "1", container.id)
    assert container.status() == "running"
