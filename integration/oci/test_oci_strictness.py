"""Values that the specification does not allow, each refused with its place in config.json; and
options of bind mounts that have nothing to do there, but are allowed. What the peers refuse as
well is in test_oci_refusals."""

import os

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


@pytest.mark.checklist(4)
@pytest.mark.parametrize("path, value, place", [
    row(1, "ociVersion", None, "/ociVersion: required"),
    *[row(2, "ociVersion", version, "/ociVersion")
      for version in ("1.0", "1", "v1.0.0", "1.0.0-", "01.0.0", "")],
    row(9, "annotations", {"": "x"}, "/annotations"),
    row(37, "process/cwd", "", "/process/cwd"),
    row(40, "process/rlimits", [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
                                {"type": "RLIMIT_CORE", "soft": 1, "hard": 1}],
        "/process/rlimits/1/type"),
    row(51, "process/ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": -1},
        "/process/ioPriority/priority"),
    row(51, "process/ioPriority", {"class": "IOPRIO_CLASS_NONE", "priority": 0},
        "/process/ioPriority/class"),
    row(52, "process/execCPUAffinity", {"initial": "0-"}, "/process/execCPUAffinity/initial"),
    row(60, "hooks", {"poststop": [{"path": "bin/true"}]}, "/hooks/poststop/0/path"),
    row(62, "hooks", {"createContainer": [{"path": "/bin/true", "timeout": -1}]},
        "/hooks/createContainer/0/timeout"),
    row(102, "linux/resources/hugepageLimits", [{"pageSize": "2M", "limit": 1}],
        "/linux/resources/hugepageLimits/0/pageSize"),
    row(103, "linux/resources/network", {"classID": 1}, "/linux/resources/network/classID"),
    row(105, "linux/resources/rdma", {"mlx5_1": {"hcaHandles": 3}}, "/linux/resources/rdma"),
    row(106, "linux/resources/unified", {"nosuch.max": "1"}, "/linux/resources/unified"),
    row(106, "linux/resources/unified", {"cgroup.procs": "1"}, "/linux/resources/unified"),
    row(114, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1},
        "/linux/seccomp/defaultErrnoRet"),
    row(120, "linux/seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"},
        "/linux/seccomp/listenerMetadata"),
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
    for number, options in {19: "defaults", 20: "silent loud", 21: "iversion noiversion",
                            22: "lazytime nolazytime", 23: "mand nomand",
                            24: "nosymfollow symfollow", 26: "rnosymfollow rsymfollow"}.items()
    for option in options.split()])
def test_option_of_a_bind_mount(bundle, directory, option):
    (directory / "file").write_text("bound")
    bundle.mount("/data", type="none", source=str(directory), options=["bind", option])
    assert bundle.run("read=/data/file")["read=/data/file"] == "bound"


@pytest.mark.checklist(24, 26)
@pytest.mark.parametrize("option", ["nosymfollow", "rnosymfollow"])
def test_links_are_not_followed(bundle, directory, option):
    os.symlink("/etc/passwd", directory / "link")
    bundle.mount("/data", type="none", source=str(directory), options=["rbind", option])
    assert bundle.run("open-r=/data/link")["open-r=/data/link"] == "ELOOP"
