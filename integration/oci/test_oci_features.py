"""features.md and features-linux.md: `features` says what is true of this build."""

import json

import pytest

MOUNT_OPTIONS = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud
noatime nodev nodiratime noexec noiversion nolazytime norelatime nostrictatime nosuid nosymfollow
private ratime rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec
rnorelatime rnostrictatime rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave
rstrictatime rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow sync
tmpcopyup unbindable""".split()
ARCHITECTURES = {f"SCMP_ARCH_{name}" for name in """X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32
MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X RISCV64""".split()}
ACTIONS = {f"SCMP_ACT_{name}" for name in
           "KILL KILL_PROCESS KILL_THREAD TRAP ERRNO TRACE ALLOW LOG NOTIFY".split()}
OPERATORS = {f"SCMP_CMP_{name}" for name in "NE LT LE EQ GE GT MASKED_EQ".split()}
FLAGS = {f"SECCOMP_FILTER_FLAG_{name}" for name in "TSYNC LOG SPEC_ALLOW".split()}


@pytest.fixture
def features(runtime):
    return json.loads(runtime("features").stdout)


@pytest.fixture
def linux(features):
    return features["linux"]


@pytest.mark.checklist(138)
def test_features_of_versions(features):
    least, most = ([int(number) for number in features[f"ociVersion{end}"].split("-")[0]
                    .split("+")[0].split(".")] for end in ("Min", "Max"))
    assert least == [1, 0, 0] and most >= [1, 1, 0]


@pytest.mark.checklist(139)
def test_features_of_hooks(features):
    assert set(features["hooks"]) == {"prestart", "createRuntime", "createContainer",
                                      "startContainer", "poststart", "poststop"}


@pytest.mark.checklist(140)
def test_features_of_mount_options(features):
    assert not set(MOUNT_OPTIONS) - set(features["mountOptions"])


@pytest.mark.checklist(141)
def test_features_of_namespaces(linux):
    assert set(linux["namespaces"]) == {"pid", "network", "mount", "ipc", "uts", "user", "cgroup",
                                        "time"}


@pytest.mark.checklist(142)
def test_features_of_capabilities(linux):
    assert {"CAP_CHOWN", "CAP_KILL", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"} \
        <= set(linux["capabilities"])


@pytest.mark.checklist(143)
def test_features_of_cgroup(linux):
    assert linux["cgroup"]["v2"] is True
    assert {"v1", "systemd", "systemdUser", "rdma"} <= set(linux["cgroup"])


@pytest.mark.checklist(144)
def test_features_of_seccomp(linux):
    seccomp = linux["seccomp"]
    assert seccomp["enabled"] is True
    assert ACTIONS <= set(seccomp["actions"]) and OPERATORS <= set(seccomp["operators"])
    assert ARCHITECTURES <= set(seccomp.get("archs", []))
    assert FLAGS <= set(seccomp.get("knownFlags", []))
    assert FLAGS <= set(seccomp.get("supportedFlags", [])) <= set(seccomp["knownFlags"])


@pytest.mark.checklist(145)
def test_features_of_security_modules(linux):
    assert linux["apparmor"]["enabled"] is True and linux["selinux"]["enabled"] is True


@pytest.mark.checklist(146)
@pytest.mark.deviates("crun")
def test_features_of_resource_director(linux):
    assert linux["intelRdt"] == {"enabled": True, "schemata": True, "monitoring": True}


@pytest.mark.checklist(147)
def test_features_of_memory_policies(linux):
    assert set(linux["memoryPolicy"]["modes"]) == {f"MPOL_{name}" for name in """DEFAULT BIND
        INTERLEAVE WEIGHTED_INTERLEAVE PREFERRED PREFERRED_MANY LOCAL""".split()}
    assert set(linux["memoryPolicy"]["flags"]) == {f"MPOL_F_{name}" for name in """NUMA_BALANCING
        RELATIVE_NODES STATIC_NODES""".split()}


@pytest.mark.checklist(149)
def test_features_of_network_devices(linux):
    assert linux["netDevices"] == {"enabled": True}


@pytest.mark.checklist(140)
@pytest.mark.deviates("runc", "crun")  # know them, and do not say so
def test_features_of_id_mapping_options(features):
    assert {"idmap", "ridmap", "mand", "nomand"} <= set(features["mountOptions"])


@pytest.mark.checklist(148)
def test_features_of_idmapped_mounts(linux):
    assert linux["mountExtensions"]["idmap"]["enabled"] is True


@pytest.mark.checklist(150)
def test_features_of_annotations(features):
    """Maps and lists where they are given: what a config may be dangerous with is named."""
    annotations = features.get("annotations", {})
    assert all(isinstance(value, str) for value in annotations.values())
    unsafe = features.get("potentiallyUnsafeConfigAnnotations", [])
    assert isinstance(unsafe, list) and all(isinstance(name, str) for name in unsafe)
