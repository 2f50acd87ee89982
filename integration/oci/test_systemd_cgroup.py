"""--systemd-cgroup: the container's cgroup is a scope of a real systemd, which is PID 1 of the VM
(`integration/vm/run --systemd`). Limits count inside, stand in the unit's properties, and stay
when systemd reads its configuration anew."""

import json
import os
import pathlib
import re
import subprocess

import pytest

from lib.user import NAME, UID, User
from lib.wait import wait_until
from oci.harness import alive, cgroup_mount
from oci.rootless import OWN_ID, AsSomebody, UserBundle

MIB = 1 << 20
CGROUP = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
          "options": ["nosuid", "noexec", "nodev", "ro"]}
DENY = {"allow": False, "access": "rwm"}
FUSE = {"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229}
LOOP = {"type": "b", "path": "/dev/loop", "major": 7, "minor": 0}


def systemd_is_pid_1():
    return pathlib.Path("/proc/1/comm").read_text().strip() == "systemd"


pytestmark = pytest.mark.skipif(not systemd_is_pid_1(), reason="systemd is not PID 1")


def systemctl(*words, code=0):
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout


def show(unit, *properties):
    lines = systemctl("show", *[f"--property={name}" for name in properties], unit).splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    return found[properties[0]] if len(properties) == 1 else found


def is_known(unit):
    return show(unit, "LoadState") != "not-found"


class ScopeBundle:
    """What the tests ask of a Bundle, for cgroups that are scopes."""

    def __init__(self, bundle):
        self.bundle, self.slice = bundle, f"coracle-test{os.getpid()}.slice"
        self.prefix = "made"
        plain_new_id, plain_left = bundle.new_id, bundle.leftovers

        def new_id():
            name = plain_new_id()
            bundle.linux["cgroupsPath"] = f"{self.slice}:{self.prefix}:{name}"
            return name

        def leftovers(name):
            left = plain_left(name)
            if is_known(self.unit(name)):
                left.append(f"unit {self.unit(name)}: {show(self.unit(name), 'ActiveState')}")
            if self.cgroup(name).exists():
                left.append(f"cgroup {self.cgroup(name)}")
            return left

        bundle.new_id, bundle.leftovers = new_id, leftovers
        bundle.new_id()

    def unit(self, name=None):
        return f"{self.prefix}-{name or self.bundle.id}.scope"

    def cgroup(self, name=None):
        return cgroup_mount() / "coracle.slice" / self.slice / self.unit(name)


@pytest.fixture
def scopes(runtime, bundle):
    plain = runtime.command
    runtime.command = lambda *words, **how: plain("--systemd-cgroup", *words, **how)
    bundle.spec["mounts"].append(CGROUP)
    made = ScopeBundle(bundle)
    yield made
    # Before systemd is asked: it would wait 90 s for a PID 1 that does not mind SIGTERM.
    for name in bundle.made:
        runtime("delete", "--force", name, code=None)
    systemctl("stop", made.slice, "coracle.slice", code=None)


@pytest.mark.checklist(82, 143)
def test_life_of_a_scope(scopes, bundle, runtime):
    container = bundle.start()
    if runtime.name == "coracle":
        cgroup = json.loads(runtime("features").stdout)["linux"]["cgroup"]
        assert cgroup["systemd"] and cgroup["systemdUser"]
    unit, pid = scopes.unit(), container.pid()
    seen = show(unit, "ActiveState", "Slice", "Delegate", "ControlGroup", "DefaultDependencies")
    assert seen == {"ActiveState": "active", "Slice": scopes.slice, "Delegate": "yes",
                    "ControlGroup": "/" + str(scopes.cgroup().relative_to(cgroup_mount())),
                    "DefaultDependencies": "no"}
    # crun has it in a cgroup below
    assert [text for file in scopes.cgroup().rglob("cgroup.procs")
            for text in file.read_text().split()] == [str(pid)]
    assert container.exec("read=/proc/self/cgroup") == {"read=/proc/self/cgroup": "0::/\n"}
    container.kill()
    container.wait()
    assert not alive(pid)
    container.delete()
    assert not bundle.leftovers(container.id)
    assert not (runtime.root / container.id).exists()


@pytest.mark.checklist(82)
def test_force_ends_it(scopes, bundle):
    container = bundle.start("ignore=15", "sleep")
    assert show(scopes.unit(), "ActiveState") == "active"
    container.delete("--force")
    assert not bundle.leftovers(container.id)


# (resources, {file: text}, {property: value}); few containers, for an emulated CPU is slow.
LIMITS = [
    ({"memory": {"limit": 64 * MIB, "reservation": 32 * MIB}, "pids": {"limit": 17},
      "cpu": {"shares": 512, "quota": 50000, "period": 200000, "cpus": "0-1", "mems": "0"}},
     {"memory.max": str(64 * MIB), "memory.low": str(32 * MIB), "pids.max": "17",
      "cpu.weight": "59", "cpu.max": "50000 200000", "cpuset.cpus": "0-1", "cpuset.mems": "0"},
     {"MemoryMax": str(64 * MIB), "MemoryLow": str(32 * MIB), "TasksMax": "17",
      "CPUWeight": "59", "CPUQuotaPerSecUSec": "250ms", "CPUQuotaPeriodUSec": "200ms",
      "AllowedCPUs": "0-1", "AllowedMemoryNodes": "0"}),
    ({"pids": {"limit": -1},
      "unified": {"memory.high": str(48 * MIB), "memory.max": "max", "cpu.weight": "77"}},
     {"memory.high": str(48 * MIB), "memory.max": "max", "cpu.weight": "77", "pids.max": "max"},
     {"MemoryHigh": str(48 * MIB), "MemoryMax": "infinity", "CPUWeight": "77",
      "TasksMax": "infinity"}),
]


@pytest.mark.checklist(82, 85, 86, 93, 94, 97, 104, 106)
@pytest.mark.parametrize("resources, files, properties", LIMITS, ids=["resources", "unified"])
def test_limits_in_file_and_property(scopes, bundle, resources, files, properties):
    bundle.linux["resources"] = resources
    container = bundle.start()

    def seen():
        found = container.exec(*[f"read=/sys/fs/cgroup/{file}" for file in files])
        return {file: found[f"read=/sys/fs/cgroup/{file}"].strip() for file in files}

    assert seen() == files
    assert show(scopes.unit(), *properties) == properties
    systemctl("daemon-reload")
    assert seen() == files
    assert show(scopes.unit(), *properties) == properties


@pytest.mark.coracle
def test_quota_of_a_fraction_is_rounded_up(scopes, bundle):
    """systemd keeps whole percents; runc says so to the kernel as well, but its 1.1 does not."""
    bundle.linux["resources"] = {"cpu": {"quota": 12345, "period": 100000}}
    container = bundle.start()
    for _ in range(2):
        seen = container.exec("read=/sys/fs/cgroup/cpu.max")
        assert seen["read=/sys/fs/cgroup/cpu.max"] == "13000 100000\n"
        systemctl("daemon-reload")


@pytest.mark.checklist(82, 85, 104)
def test_limits_hold(scopes, bundle, runtime):
    bundle.linux["resources"] = {"memory": {"limit": 32 * MIB, "swap": 32 * MIB},
                                 "pids": {"limit": 8}}
    seen = bundle.run("forks=20", f"hog={8 * MIB}", "exit=0")
    assert seen["forks=20"] == {"made": 7, "errno": "EAGAIN"}
    container = bundle.start(f"hog={256 * MIB}", "print=survived")
    container.wait()
    assert "survived" not in container.text()
    container.delete()
    assert not bundle.leftovers(container.id)


@pytest.mark.checklist(84)
def test_devices_stay_over_a_reload(scopes, bundle, runtime):
    bundle.linux["devices"] = [FUSE, LOOP]
    bundle.linux["resources"] = {"devices": [
        DENY, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"}]}
    container = bundle.start()
    acts = ("open-rw=/dev/null", "open-r=/dev/urandom", "open-rw=/dev/fuse", "open-r=/dev/loop")
    expected = dict(zip(acts, ("0", "0", "0", "EPERM")))
    assert container.exec(*acts) == expected
    if runtime.name != "crun":  # which does not tell systemd
        assert show(scopes.unit(), "DevicePolicy") == "strict"
    systemctl("daemon-reload")
    assert container.exec(*acts) == expected
    systemctl("set-property", "--runtime", scopes.unit(), "CPUWeight=50")
    assert container.exec(*acts) == expected


@pytest.mark.checklist(84)
@pytest.mark.deviates("runc")
def test_denial_after_allowance(scopes, bundle):
    """systemd cannot say it; a program of the runtime's own can."""
    bundle.linux["devices"] = [LOOP]
    bundle.linux["resources"] = {"devices": [
        DENY, {"allow": True, "type": "b", "access": "rwm"},
        {"allow": False, "type": "b", "major": 7, "access": "w"}]}
    container = bundle.start()
    for _ in range(2):
        seen = container.exec("open-r=/dev/loop", "open-w=/dev/loop")
        assert seen["open-r=/dev/loop"] != "EPERM" and seen["open-w=/dev/loop"] == "EPERM"
        systemctl("daemon-reload")


@pytest.mark.checklist(82)
def test_update_reaches_both(scopes, bundle, runtime):
    bundle.linux["resources"] = {"pids": {"limit": 20}, "memory": {"limit": 64 * MIB}}
    container = bundle.start()
    runtime("update", "--pids-limit", "33", "--cpu-share", "512", container.id)
    systemctl("daemon-reload")
    seen = container.exec("read=/sys/fs/cgroup/pids.max", "read=/sys/fs/cgroup/memory.max",
                          "read=/sys/fs/cgroup/cpu.weight")
    assert [text.strip() for text in seen.values()] == ["33", str(64 * MIB), "59"]
    assert show(scopes.unit(), "TasksMax", "MemoryMax", "CPUWeight") == {
        "TasksMax": "33", "MemoryMax": str(64 * MIB), "CPUWeight": "59"}


@pytest.mark.checklist(82)
def test_failing_create_leaves_no_unit(scopes, bundle):
    def scopes_now():
        listed = systemctl("list-units", "--all", "--plain", "--no-legend", "--type=scope")
        return {line.split()[0] for line in listed.splitlines()}

    before = scopes_now()
    bundle.mount("/data", type="nosuchtype", source="none")
    bundle.refused()
    bundle.spec["mounts"].pop()
    bundle.linux["resources"] = {"unified": {"memory.max": "nonsense"}}
    bundle.refused()
    bundle.linux["resources"] = {}
    bundle.process["args"] = ["/no-such-program"]
    bundle.refused(verb="run")
    assert scopes_now() == before


@pytest.mark.checklist(82)
def test_a_taken_name(scopes, bundle, runtime):
    first = bundle.start()
    path = bundle.linux["cgroupsPath"]
    bundle.new_id()
    bundle.linux["cgroupsPath"] = path
    (bundle.path / "config.json").write_text(json.dumps(bundle.spec))
    message = bundle.runtime.fails("create", "--bundle", bundle.path, "second",
                                   capture_output=False, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE)
    assert "already" in message or runtime.name != "coracle"
    assert first.status() == "running" and show(scopes.unit(first.id), "ActiveState") == "active"
    assert not (bundle.runtime.root / "second").exists()


@pytest.mark.checklist(82)
def test_default_name(scopes, bundle, runtime):
    bundle.new_id()
    bundle.linux["cgroupsPath"] = ""
    bundle.process["args"] = ["/probe", "sleep"]
    (bundle.path / "config.json").write_text(json.dumps(bundle.spec))
    name = bundle.id
    try:
        runtime.detached("run", "--detach", "--bundle", bundle.path, name)
        unit = f"{runtime.name}-{name}.scope"
        assert show(unit, "Slice", "ActiveState") == {"Slice": "system.slice",
                                                      "ActiveState": "active"}
    finally:
        runtime("delete", "--force", name)
    assert not is_known(unit)


@pytest.mark.checklist(82)
def test_path_that_is_no_unit(scopes, bundle):
    bundle.new_id = lambda: bundle.id
    for path in ("plain", "a.slice:b:c:d", "a:b:c", "a--b.slice:b:c", "x.slice:p:na/me",
                 "x.slice:p:name.slice"):
        bundle.linux["cgroupsPath"] = path
        message = bundle.refused()
        if bundle.runtime.name == "coracle":
            assert "/linux/cgroupsPath: " in message and len(message.splitlines()) == 1


@pytest.mark.deviates("crun")  # keeps its own description
def test_annotations_are_properties(scopes, bundle):
    bundle.spec["annotations"] = {
        "org.systemd.property.Description": "'a name of its own'",
        "org.systemd.property.CollectMode": "'inactive-or-failed'",
        "org.systemd.property.TimeoutStopSec": "uint64 7",
        "org.systemd.property.Before": "['one.target', 'two.target']"}
    bundle.start()
    seen = show(scopes.unit(), "Description", "CollectMode", "TimeoutStopUSec", "Before")
    assert {"one.target", "two.target"} <= set(seen.pop("Before").split())
    assert seen == {"Description": "a name of its own", "CollectMode": "inactive-or-failed",
                    "TimeoutStopUSec": "7s"}


def test_annotation_that_is_no_property(scopes, bundle):
    bundle.spec["annotations"] = {"org.systemd.property.Description": "no quotes"}
    message = bundle.refused()
    assert "Description" in message


def test_stopped_container_has_no_unit(scopes, bundle):
    container = bundle.start("exit=0")
    container.wait()
    wait_until(lambda: not is_known(scopes.unit()), "systemd has forgotten the scope")
    container.delete()
    assert not bundle.leftovers(container.id)


def test_pause_and_processes(scopes, bundle, runtime):
    container = bundle.start()
    runtime("pause", container.id)
    assert container.status() == "paused"
    runtime("resume", container.id)
    assert container.status() == "running"
    listed = runtime("ps", "--format", "json", container.id).stdout
    assert re.findall(r"\d+", listed) == [str(container.pid())]
    container.delete("--force")
    assert not bundle.leftovers(container.id)


class UserScopeBundle(UserBundle):
    """Of a user whose own systemd makes the scopes."""

    def new_id(self):
        name = super().new_id()
        self.linux["cgroupsPath"] = f":made:{name}"
        return name


@pytest.fixture(params=["service", "session"])
def users(request, runtime_program, directory, probe):
    """As a service of the user's manager, or outside of it as in a login session, from where the
    user may move no process to the manager's cgroups."""
    if "vm.init=" not in pathlib.Path("/proc/cmdline").read_text():
        pytest.skip("adds a user: only in the VM")
    for command in (["groupadd", "--gid", str(UID), NAME],
                    ["useradd", "--uid", str(UID), "--gid", str(UID), NAME]):
        subprocess.run(command, check=False, capture_output=True)
    systemctl("start", f"user@{UID}.service")
    prefix = ["setpriv", "--reuid", str(UID), "--regid", str(UID), "--init-groups", "env",
              f"XDG_RUNTIME_DIR=/run/user/{UID}"]
    show_units = [*prefix, "systemctl", "--user", "show", "--value"]
    if request.param == "service":
        prefix += ["systemd-run", "--user", "--pipe", "--wait", "--quiet", "--"]
    runtime = AsSomebody(runtime_program, directory, prefix, directory / "user/state")
    (directory / "user").mkdir()
    User.own(directory / "user")
    plain = runtime.command
    runtime.command = lambda *words, **how: plain("--systemd-cgroup", *words, **how)
    bundle = UserScopeBundle(runtime, directory, probe, OWN_ID)
    bundle.show = lambda *words: subprocess.run(
        [*show_units, *words], capture_output=True, text=True, check=True).stdout.split()
    yield bundle
    left = bundle.close()
    assert not left, left


@pytest.mark.checklist(82, 143)
def test_scope_of_the_users_manager(users):
    users.spec["mounts"].append(CGROUP)
    users.linux["resources"] = {"memory": {"limit": 64 * MIB}, "pids": {"limit": 17}}
    container = users.start()
    unit = f"made-{container.id}.scope"
    assert users.show("--property=ActiveState,MemoryMax,TasksMax", unit) == [
        str(64 * MIB), "17", "active"]
    assert f"user@{UID}.service/user.slice/{unit}" in pathlib.Path(
        f"/proc/{container.pid()}/cgroup").read_text()
    seen = container.exec("read=/sys/fs/cgroup/memory.max", "read=/sys/fs/cgroup/pids.max",
                          "read=/proc/self/cgroup")
    assert list(seen.values()) == [f"{64 * MIB}\n", "17\n", "0::/\n"]
    container.delete("--force")
    assert users.show("--property=LoadState", unit) == ["not-found"]
