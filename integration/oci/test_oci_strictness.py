"""Where runc or crun does otherwise than the specification says: what must be refused, and what
must work. Each case has the row of the checklist that it shows; the peers' are not asked."""

import os
import signal

import pytest

pytestmark = pytest.mark.coracle

def row(number, *values):
    return pytest.param(*values, marks=pytest.mark.checklist(number))


def change(spec, path, value):
    """Puts `value` at "a/b/c" of the configuration; None removes what is there."""
    *parents, last = path.split("/")
    for name in parents:
        spec = spec.setdefault(name, {})
    if value is None:
        del spec[last]
    else:
        spec[last] = value


MAP = [{"containerID": 0, "hostID": 0, "size": 1}]


@pytest.mark.checklist(4)
@pytest.mark.parametrize("path, value, place", [
    row(1, "ociVersion", None, "/ociVersion: required"),
    row(2, "ociVersion", "1.0", "/ociVersion"),
    row(2, "ociVersion", "1", "/ociVersion"),
    row(2, "ociVersion", "v1.0.0", "/ociVersion"),
    row(2, "ociVersion", "1.0.0-", "/ociVersion"),
    row(2, "ociVersion", "01.0.0", "/ociVersion"),
    row(2, "ociVersion", "", "/ociVersion"),
    row(5, "root/path", "nosuch", "nosuch"),
    row(9, "annotations", {"": "x"}, "/annotations"),
    row(9, "annotations", {"a": 1}, "/annotations/a"),
    row(31, "mounts", [{"destination": "/data", "type": "bind", "source": "/", "options": ["bind"],
                        "uidMappings": MAP}], "/mounts/0"),
    row(37, "process/cwd", "tmp", "/process/cwd"),
    row(37, "process/cwd", "", "/process/cwd"),
    row(38, "process/args", [], "/process/args"),
    row(39, "process/rlimits", [{"type": "RLIMIT_NOSUCH", "soft": 1, "hard": 1}],
        "/process/rlimits/0/type"),
    row(40, "process/rlimits", [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                                {"type": "RLIMIT_CORE", "soft": 1, "hard": 1}],
        "/process/rlimits/1/type"),
    row(48, "process/scheduler", {"policy": "SCHED_NOSUCH"}, "/process/scheduler/policy"),
    row(50, "process/scheduler", {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]},
        "/process/scheduler/flags/0"),
    row(51, "process/ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8},
        "/process/ioPriority/priority"),
    row(51, "process/ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": -1},
        "/process/ioPriority/priority"),
    row(51, "process/ioPriority", {"class": "IOPRIO_CLASS_NONE", "priority": 0},
        "/process/ioPriority/class"),
    row(52, "process/execCPUAffinity", {"initial": "0-"}, "/process/execCPUAffinity/initial"),
    row(60, "hooks", {"poststop": [{"path": "bin/true"}]}, "/hooks/poststop/0/path"),
    row(62, "hooks", {"prestart": [{"path": "/bin/true", "timeout": 0}]},
        "/hooks/prestart/0/timeout"),
    row(62, "hooks", {"createContainer": [{"path": "/bin/true", "timeout": -1}]},
        "/hooks/createContainer/0/timeout"),
    row(71, "linux/namespaces", [{"type": "mount"}, {"type": "pid"}, {"type": "pid"}],
        "/linux/namespaces/2/type"),
    row(72, "linux/timeOffsets", {"monotonic": {"secs": 1}}, "/linux/timeOffsets"),
    row(74, "linux/devices", [{"type": "q", "path": "/dev/x", "major": 1, "minor": 3}],
        "/linux/devices/0/type"),
    row(76, "linux/devices", [{"type": "c", "path": "/etc/passwd", "major": 1, "minor": 3}],
        "/etc/passwd"),
    row(96, "linux/resources/cpu", {"realtimeRuntime": 1000}, "/linux/resources/cpu/realtime"),
    row(102, "linux/resources/hugepageLimits", [{"pageSize": "2M", "limit": 1}],
        "/linux/resources/hugepageLimits/0/pageSize"),
    row(103, "linux/resources/network", {"classID": 1}, "/linux/resources/network/classID"),
    row(103, "linux/resources/network", {"priorities": [{"name": "lo", "priority": 1}]},
        "/linux/resources/network/priorities"),
    row(105, "linux/resources/rdma", {"mlx5_1": {"hcaHandles": 3}}, "/linux/resources/rdma"),
    row(106, "linux/resources/unified", {"nosuch.max": "1"}, "/linux/resources/unified"),
    row(106, "linux/resources/unified", {"cgroup.procs": "1"}, "/linux/resources/unified"),
    row(112, "linux/sysctl", {"vm.swappiness": "1"}, "/linux/sysctl"),
    row(113, "linux/seccomp", {"defaultAction": "SCMP_ACT_NOSUCH"}, "/linux/seccomp/defaultAction"),
    row(114, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1},
        "/linux/seccomp/defaultErrnoRet"),
    row(114, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getcwd"], "action": "SCMP_ACT_KILL", "errnoRet": 1}]},
        "/linux/seccomp/syscalls/0/errnoRet"),
    row(115, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["X"]},
        "/linux/seccomp/architectures/0"),
    row(116, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]},
        "/linux/seccomp/flags/0"),
    row(117, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO",
         "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]},
        "/linux/seccomp/syscalls/0/args/0/index"),
    row(120, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"},
        "/linux/seccomp/listenerMetadata"),
    row(121, "linux/rootfsPropagation", "nosuch", "/linux/rootfsPropagation"),
    row(125, "linux/personality", {"domain": "BSD"}, "/linux/personality/domain"),
    row(126, "linux/personality", {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]},
        "/linux/personality/flags"),
])
def test_is_refused(bundle, path, value, place):
    change(bundle.spec, path, value)
    assert place in bundle.refused()


@pytest.mark.checklist(82)
@pytest.mark.parametrize("path", ["/../../x", "a/../../x", "/", "/."])
def test_cgroups_path_is_refused(bundle, runtime, path):
    name = bundle.new_container()
    bundle.linux["cgroupsPath"] = path
    bundle.write()
    assert "/linux/cgroupsPath" in runtime.fails("create", "--bundle", bundle.path, name)


@pytest.mark.parametrize("option", [
    row(number, option)
    for number, options in {
        19: ["defaults"],
        20: ["silent", "loud"],
        21: ["iversion", "noiversion"],
        22: ["lazytime", "nolazytime"],
        23: ["mand", "nomand"],
        24: ["nosymfollow", "symfollow"],
        26: ["rnosymfollow", "rsymfollow"],
    }.items() for option in options])
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_mount_option_works(bundle, directory, kind, option):
    if kind == "tmpfs":
        bundle.mount("/data", type="tmpfs", source="tmpfs", options=[option])
    else:
        bundle.mount("/data", type="none", source=str(directory), options=["bind", option])
    assert bundle.run("stat=/data")["stat=/data"]["type"] == "d"


@pytest.mark.checklist(24, 26)
@pytest.mark.parametrize("option", ["nosymfollow", "rnosymfollow"])
def test_links_are_not_followed(bundle, directory, option):
    os.symlink("/etc/passwd", directory / "link")
    bundle.mount("/data", type="none", source=str(directory), options=["rbind", option])
    assert bundle.run("open-r=/data/link")["open-r=/data/link"] == "ELOOP"


@pytest.mark.checklist(3)
def test_what_nobody_knows_is_ignored(bundle):
    for path in ("x", "process/x", "linux/x", "linux/resources/x", "root/x", "hooks/x"):
        change(bundle.spec, path, {"y": [1]})
    bundle.spec["mounts"][0]["x"] = 1
    assert bundle.run("cwd")["cwd"] == "/"


@pytest.mark.checklist(44, 45)
def test_capabilities_that_cannot_be_are_warnings(bundle):
    names = ["CAP_NOSUCH", "CAP_SYS_RESOURCE", "CAP_KILL", "CAP_CHECKPOINT_RESTORE"]
    bundle.process["capabilities"] = {kind: names for kind in
                                      ("bounding", "effective", "permitted", "inheritable")}
    done = bundle.run_text("caps")
    assert "CAP_NOSUCH" in done.stderr


@pytest.mark.checklist(2)
@pytest.mark.parametrize("version", ["1.0.0", "1.3.0", "1.99.7", "1.2.0+dev", "1.1.0-rc.1+x"])
def test_version_that_is_one(bundle, version):
    bundle.spec["ociVersion"] = version
    bundle.run("exit=0")


@pytest.mark.checklist(132, 133)
def test_what_the_state_forbids(bundle, runtime):
    container = bundle.start()
    assert "cannot start" in runtime.fails("start", container.id)
    container.kill("KILL")
    container.wait()
    assert "container not running" in runtime.fails("kill", container.id, "TERM")
    assert "cannot start" in runtime.fails("start", container.id)
    container.delete()
    for verb in ("start", "state", "kill", "delete"):
        assert "does not exist" in runtime.fails(verb, container.id)


@pytest.mark.checklist(34)
def test_without_a_process(bundle, runtime):
    del bundle.spec["process"]
    name = bundle.new_container()
    runtime.detached("create", "--bundle", bundle.path, name)
    assert "/process" in runtime.fails("start", name)
    runtime("kill", name, str(int(signal.SIGKILL)))
    runtime("delete", "--force", name)
