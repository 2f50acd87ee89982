"""What the specification does not allow, or this host does not have: refused, whoever is asked.
The words of our own refusals are in test_oci_errors."""

import contextlib
import pathlib

import pytest

MIB = 1 << 20
ACTION = "SCMP_ACT_ERRNO"
ONE_ID = [{"containerID": 0, "hostID": 0, "size": 1}]


def rows(number, section, change, name):
    return pytest.param(section, change, marks=pytest.mark.checklist(number), id=name)


def profile(**more):
    return {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW"} | more}


VALUES = [
    rows(2, None, {"ociVersion": "one"}, "version-that-is-none"),
    rows(2, None, {"ociVersion": "2.0.0"}, "version-of-another-major"),
    rows(4, "process", {"env": ["novalue"]}, "env-without-value"),
    rows(4, "process", {"oomScoreAdj": 2000}, "oom-score"),
    rows(4, "process", {"user": {"uid": -1, "gid": 0}}, "negative-uid"),
    rows(4, "linux", {"devices": [{"type": "x", "path": "/dev/x"}]}, "device-type"),
    rows(4, "linux", {"namespaces": [{"type": "net"}]}, "namespace-type"),
    rows(9, None, {"annotations": {"": "value"}}, "annotation-without-key"),
    rows(9, None, {"annotations": {"key": 1}}, "annotation-that-is-no-string"),
    rows(37, "process", {"cwd": "relative"}, "relative-cwd"),
    rows(38, "process", {"args": []}, "no-argument"),
    rows(39, "process", {"rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]},
         "unknown-rlimit"),
    rows(40, "process", {"rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2},
         "rlimit-twice"),
    rows(48, "process", {"scheduler": {"policy": "SCHED_NOSUCH"}}, "scheduler-policy"),
    rows(50, "process", {"scheduler": {"policy": "SCHED_OTHER", "flags": ["NOSUCH"]}},
         "scheduler-flag"),
    rows(51, "process", {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 9}},
         "io-priority"),
    rows(51, "process", {"ioPriority": {"class": "NOSUCH", "priority": 1}}, "io-class"),
    rows(60, None, {"hooks": {"createRuntime": [{"path": "bin/true"}]}}, "relative-hook"),
    rows(62, None, {"hooks": {"createRuntime": [{"path": "/bin/true", "timeout": 0}]}},
         "timeout-of-zero"),
    rows(71, "linux", {"namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "pid"}]},
         "namespace-twice"),
    rows(72, "linux", {"timeOffsets": {"boottime": {"secs": 1}}}, "offset-without-namespace"),
    rows(96, "linux", {"resources": {"cpu": {"realtimeRuntime": 9000}}}, "realtime-runtime"),
    rows(96, "linux", {"resources": {"cpu": {"realtimePeriod": 90000}}}, "realtime-period"),
    rows(100, "linux", {"resources": {"blockIO": {"leafWeight": 500}}}, "leaf-weight"),
    rows(103, "linux", {"resources": {"network": {"priorities": [{"name": "lo", "priority": 1}]}}},
         "network-priorities"),
    rows(106, "linux", {"resources": {"unified": {"../cgroup.procs": "0"}}}, "unified-path"),
    rows(111, "linux", {"memoryPolicy": {"mode": "MPOL_NOSUCH", "nodes": "0"}}, "memory-policy"),
    rows(113, "linux", {"seccomp": {"defaultAction": "ALLOW"}}, "seccomp-action"),
    rows(114, "linux", profile(defaultErrnoRet=1), "errno-of-allow"),
    rows(114, "linux", profile(syscalls=[
        {"names": ["chmod"], "action": "SCMP_ACT_KILL_PROCESS", "errnoRet": 1}]), "errno-of-kill"),
    rows(115, "linux", profile(architectures=["SCMP_ARCH_NOSUCH"]), "architecture"),
    rows(116, "linux", profile(flags=["SECCOMP_FILTER_FLAG_NOSUCH"]), "seccomp-flag"),
    rows(117, "linux", profile(syscalls=[
        {"names": ["chmod"], "action": ACTION,
         "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]), "seventh-argument"),
    rows(117, "linux", profile(syscalls=[
        {"names": ["chmod"], "action": ACTION,
         "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_NOSUCH"}]}]), "operator"),
    rows(120, "linux", profile(listenerMetadata="for nobody"), "metadata-without-listener"),
    rows(121, "linux", {"rootfsPropagation": "weird"}, "propagation"),
    rows(125, "linux", {"personality": {"domain": "LINUX64"}}, "personality"),
    rows(126, "linux", {"personality": {"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}},
         "personality-flag"),
]


@pytest.mark.parametrize("section, change", VALUES)
def test_value(bundle, section, change):
    target = bundle.spec if section is None else bundle.spec[section]
    target |= change
    bundle.refused()


@pytest.mark.checklist(31)
@pytest.mark.parametrize("missing", ["uidMappings", "gidMappings"])
def test_half_of_an_idmap(bundle, directory, missing):
    mappings = {"uidMappings": ONE_ID, "gidMappings": ONE_ID}
    del mappings[missing]
    bundle.mount("/data", type="bind", source=str(directory), options=["bind", "idmap"],
                 **mappings)
    bundle.refused()


@pytest.mark.checklist(49)
def test_scheduling_policy_that_no_kernel_has(bundle):
    bundle.process["scheduler"] = {"policy": "SCHED_ISO"}
    bundle.refused("exit=0", verb="run")


@pytest.mark.checklist(8)
def test_domainname_without_uts_namespace(bundle):
    bundle.without_namespace("uts")
    bundle.spec["domainname"] = "changed"
    bundle.refused()


@pytest.mark.checklist(34)
def test_without_a_process(bundle, runtime):
    """`create` may take it; `start` must not."""
    del bundle.spec["process"]
    bundle.write()
    name = bundle.new_container()
    with open(bundle.path / "output", "w") as sink:
        runtime("create", "--bundle", bundle.path, name, code=None, capture_output=False,
                stdout=sink, stderr=sink)
    runtime.fails("start", name)


@pytest.mark.checklist(34)
def test_run_without_a_process(bundle, runtime):
    del bundle.spec["process"]
    bundle.write()
    name = bundle.new_container()
    told = runtime.fails("run", "--bundle", bundle.path, name)
    assert "process" in told
    runtime.fails("state", name)


@pytest.mark.checklist(81)
@pytest.mark.parametrize("why", ["frozen", "in-use"])
def test_cgroup_that_does_not_fit(bundle, why):
    """The cgroup of the next container is there already, and not as a new one is."""
    other = bundle.start()
    cgroup = bundle.cgroup.parent / f"{bundle.cgroup.name}-taken"
    cgroup.mkdir()
    try:
        if why == "frozen":
            (cgroup / "cgroup.freeze").write_text("1")
        else:
            (cgroup / "cgroup.procs").write_text(str(other.pid()))
        name = bundle.new_id()
        bundle.linux["cgroupsPath"] = f"{bundle.cgroup_parent}/{cgroup.name}"
        bundle.write("sleep")
        bundle.made.append(name)
        bundle.runtime.fails("create", "--bundle", bundle.path, name, timeout=20)
        assert other.status() == "running"
    finally:
        with contextlib.suppress(FileNotFoundError):
            (cgroup / "cgroup.freeze").write_text("0")
        bundle.runtime("delete", "--force", bundle.id, code=None)
        other.delete("--force")
        with contextlib.suppress(FileNotFoundError):
            cgroup.rmdir()


SELINUX = pathlib.Path("/sys/fs/selinux/enforce")
APPARMOR = pathlib.Path("/sys/module/apparmor/parameters/enabled")


@pytest.mark.parametrize("section, member", [
    pytest.param("process", "selinuxLabel", marks=pytest.mark.checklist(42)),
    pytest.param("linux", "mountLabel", marks=pytest.mark.checklist(124))])
def test_selinux_label_without_selinux(bundle, section, member):
    if SELINUX.exists():
        pytest.skip("this host has SELinux")
    bundle.spec[section][member] = "system_u:system_r:container_t:s0:c1,c2"
    bundle.refused("exit=0", verb="run")


@pytest.mark.checklist(41)
def test_apparmor_profile_without_apparmor(bundle):
    if APPARMOR.exists() and APPARMOR.read_text().strip() == "Y":
        pytest.skip("this host has AppArmor")
    bundle.process["apparmorProfile"] = "container-default"
    bundle.refused("exit=0", verb="run")


@pytest.mark.checklist(41)
def test_apparmor_profile(bundle):
    """Unconfined is the profile that every kernel with AppArmor has, unlike one nobody loaded."""
    if not APPARMOR.exists() or APPARMOR.read_text().strip() != "Y":
        pytest.skip("this host has no AppArmor")
    bundle.process["apparmorProfile"] = "unconfined"
    assert bundle.run("read=/proc/self/attr/current")["read=/proc/self/attr/current"].strip() \
        == "unconfined"
    bundle.process["apparmorProfile"] = "no-such-profile"
    bundle.refused("exit=0", verb="run")
