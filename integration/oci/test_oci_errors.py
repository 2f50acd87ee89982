"""Bad input: one line that names the place and what is allowed, and nothing left behind."""

import json
import os
import pathlib

import pytest


def problem(bundle, **how):
    message = bundle.refused(**how)
    assert len(message.splitlines()) == 1, message
    return message


@pytest.mark.checklist(1)
@pytest.mark.deviates("runc")
def test_no_version(bundle):
    del bundle.spec["ociVersion"]
    assert "ociVersion" in bundle.refused()


def test_missing_bundle(bundle, runtime, directory):
    assert "/nonexistent" in runtime.fails("create", "--bundle", "/nonexistent", "x")
    (directory / "empty").mkdir()
    assert "config.json" in runtime.fails("create", "--bundle", directory / "empty", "x")
    assert not runtime.root.exists() or not os.listdir(runtime.root)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"ociVersion": }', "\x00", "{" * 10000])
def test_config_that_is_not_json(bundle, runtime, text):
    (bundle.path / "config.json").write_text(text)
    runtime.fails("create", "--bundle", bundle.path, "x")
    assert not bundle.leftovers("x")


@pytest.mark.checklist(5)
def test_missing_rootfs(bundle):
    bundle.spec["root"]["path"] = "nosuch"
    assert "nosuch" in bundle.refused()


@pytest.mark.coracle
@pytest.mark.parametrize("section, change, pointer, rule", [
    ("process", {"cwd": "relative"}, "/process/cwd", "absolute"),
    ("process", {"args": []}, "/process/args", "at least one"),
    ("process", {"args": "sh"}, "/process/args", "expected array"),
    ("process", {"env": ["novalue"]}, "/process/env/0", "NAME=value"),
    ("process", {"user": {"uid": -1}}, "/process/user/uid", "expected integer from 0"),
    ("process", {"rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]},
     "/process/rlimits/0/type", "RLIMIT_NOFILE"),
    ("process", {"rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}] * 2},
     "/process/rlimits/1/type", "twice"),
    ("linux", {"namespaces": [{"type": "net"}]}, "/linux/namespaces/0/type", "network"),
    ("linux", {"namespaces": [{"type": "pid"}, {"type": "pid"}]}, "/linux/namespaces/1/type",
     "twice"),
    ("linux", {"rootfsPropagation": "weird"}, "/linux/rootfsPropagation", "slave"),
    ("linux", {"timeOffsets": {"boottime": {"secs": 1}}}, "/linux/timeOffsets", "time"),
    ("linux", {"devices": [{"type": "x", "path": "/dev/x"}]}, "/linux/devices/0/type", "c b u p"),
    ("linux", {"seccomp": {"defaultAction": "ALLOW"}}, "/linux/seccomp/defaultAction",
     "SCMP_ACT_ALLOW"),
    ("linux", {"personality": {"domain": "LINUX", "flags": ["X"]}}, "/linux/personality/flags",
     "supported"),
    ("linux", {"intelRdt": {"closID": "a/b"}}, "/linux/intelRdt/closID", "without"),
    ("linux", {"intelRdt": {"memBwSchema": "L3:0=f"}}, "/linux/intelRdt/memBwSchema", "MB:"),
    ("linux", {"intelRdt": {"schemata": ["MB:0=1\nL3:0=f"]}}, "/linux/intelRdt/schemata/0",
     "one line"),
    ("linux", {"resources": {"unified": {"../x": "1"}}}, "/linux/resources/unified/..~1x",
     "cgroup v2"),
    ("linux", {"resources": {"network": {"classID": 1}}}, "/linux/resources/network", "v1"),
    ("linux", {"resources": {"devices": [{"allow": True, "access": "x"}]}},
     "/linux/resources/devices/0/access", "r, w, m"),
])
def test_value_with_its_place_and_rule(bundle, section, change, pointer, rule):
    bundle.spec[section] |= change
    message = problem(bundle)
    assert pointer in message and rule in message


@pytest.mark.coracle
def test_every_problem_at_once(bundle):
    bundle.spec["process"] |= {"cwd": "x", "env": ["y"]}
    bundle.spec["ociVersion"] = "2.0.0"
    message = problem(bundle)
    for pointer in ("3 problems", "/ociVersion", "/process/cwd", "/process/env/0"):
        assert pointer in message


@pytest.mark.coracle
def test_mount_option_with_its_place(bundle):
    bundle.mount("/data", type="bind", source=str(bundle.path), options=["bind"],
                 uidMappings=[{"containerID": 0, "hostID": 0, "size": 1}])
    assert "/mounts/5" in problem(bundle)


@pytest.mark.deviates("runc", "crun")
@pytest.mark.parametrize("change", [
    {"oomScoreAdj": 2000}, {"ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 9}}])
def test_number_out_of_range(bundle, change):
    bundle.spec["process"] |= change
    bundle.refused()


@pytest.mark.checklist(7)
def test_hostname_without_uts_namespace(bundle):
    before = os.uname().nodename
    bundle.without_namespace("uts")
    bundle.spec["hostname"] = "changed"
    bundle.refused()
    assert os.uname().nodename == before


@pytest.mark.checklist(3)
def test_unknown_properties_are_ignored(bundle):
    bundle.spec["linux"]["newProperty"] = bundle.spec["another"] = {"a": 1}
    assert bundle.run("cwd") == {"cwd": "/"}


@pytest.mark.checklist(2)
@pytest.mark.parametrize("version", ["1.0.0", "1.2.1", "1.9.0", "1.0.0-rc5"])
def test_versions(bundle, version):
    bundle.spec["ociVersion"] = version
    assert bundle.run("cwd") == {"cwd": "/"}


@pytest.mark.coracle
@pytest.mark.parametrize("path", ["/etc/../../escape", "/../../escape", "//escape"])
def test_masked_path_cannot_leave_the_rootfs(bundle, path):
    (bundle.path / "escape").write_text("outside")
    bundle.linux["maskedPaths"] = [path]
    bundle.run("exit=0")
    assert (bundle.path / "escape").read_text() == "outside"


@pytest.mark.coracle
def test_a_failing_create_does_not_disturb_others(bundle):
    other = bundle.start()
    before = (pathlib.Path("/proc/self/mountinfo").read_text(), os.listdir(bundle.runtime.root))
    bundle.mount("/data", type="nosuchfs", source="x")
    bundle.refused()
    assert other.status() == "running"
    after = (pathlib.Path("/proc/self/mountinfo").read_text(), os.listdir(bundle.runtime.root))
    assert after == before


def test_json_log(bundle, runtime, directory):
    """containerd's shim shows the last line of level error."""
    bundle.spec["root"]["path"] = "nosuch"
    bundle.write("exit=0")
    log = directory / "log.json"
    done = runtime("--log", log, "--log-format", "json", "create", "--bundle", bundle.path, "x",
                   code=1)
    line = json.loads(log.read_text().splitlines()[-1])
    assert line["level"] == "error" and "nosuch" in line["msg"]
    assert line["time"].count(":") >= 2 and "nosuch" in done.stderr


@pytest.mark.checklist(107, 108, 109, 110)
@pytest.mark.skipif(os.path.exists("/sys/fs/resctrl/tasks"), reason="this host has resctrl")
@pytest.mark.parametrize("rdt", [
    {}, {"closID": "/"}, {"closID": "x", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=10"},
    {"schemata": ["MB:0=10"]}, {"enableMonitoring": True}])
def test_no_resctrl(bundle, rdt):
    bundle.linux["intelRdt"] = rdt
    message = bundle.refused().lower()
    assert "rdt" in message or "resctrl" in message or "resctl" in message


def test_words_that_callers_match(bundle, runtime, directory):
    """What containerd's shim, CRI-O, podman and the kubelet look for in the log's last error."""
    log = directory / "log.json"

    def told(*words):
        runtime.fails(*words, before=("--log", log, "--log-format", "json"))
        last = [line for line in map(json.loads, log.read_text().splitlines())
                if line["level"] == "error"][-1]
        assert set(last) >= {"level", "msg", "time"}
        return last["msg"].lower()

    container = bundle.start("exit=0")
    container.wait()
    assert "container not running" in told("kill", container.id, "TERM")
    for words in (("kill", "nosuch", "KILL"), ("delete", "nosuch"), ("state", "nosuch"),
                  ("start", "nosuch")):
        assert "does not exist" in told(*words)
    for program, text in {"nosuch": "executable file not found in $path",
                          "/nosuch": "no such file or directory",
                          "/etc/passwd": "permission denied"}.items():
        bundle.process["args"] = [program]
        name = bundle.new_container()
        assert text in told("create", "--bundle", bundle.path, name)
        running = bundle.start("sleep")
        assert text in told("exec", running.id, program)
