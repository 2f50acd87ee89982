"""What will happen (`explain`) and what happened (`--trace`), told from the tables of steps."""

import json
import subprocess
import time
import xml.etree.ElementTree

import pytest

from oci.harness import controllers

pytestmark = pytest.mark.coracle
# A limit of each controller, as config.json has it.
LIMITS = {"memory": {"limit": 1 << 30}, "pids": {"limit": 1000}, "cpu": {"shares": 512}}
# What comes before the tables, for a trace only.
PLANNING = {"read-config", "make-plan"}


@pytest.fixture
def tables(runtime):
    """Table: the names of its steps, in order."""
    found, name = {}, None
    for line in runtime("explain", "--markdown").stdout.splitlines():
        if line.startswith("## "):
            name = line[3:]
            found[name] = []
        elif line.startswith("| ") and not line.startswith("| step |"):
            found[name].append(line.split(" | ")[0][2:])
    return found


@pytest.fixture
def plain(bundle, runtime):
    """The bundle that `coracle spec` makes."""
    runtime("spec", "--bundle", bundle.path)
    return bundle


class Traced:
    """One verb with its trace, and when it ran."""

    def __init__(self, runtime, directory, *words, code=0):
        path = directory / "trace"
        begin = time.monotonic()
        runtime(f"--trace=json:{path}", *words, code=code, capture_output=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic()
        self.steps = [json.loads(line) for line in path.read_text().splitlines()]
        starts = [step["start_us"] for step in self.steps]
        assert starts == sorted(starts)
        assert begin * 1e6 - 1 <= starts[0]
        assert max(step["start_us"] + step["us"] for step in self.steps) <= end * 1e6
        for process in {step["process"] for step in self.steps}:
            own = [step for step in self.steps if step["process"] == process]
            for step, following in zip(own, own[1:]):
                assert step["start_us"] + step["us"] <= following["start_us"] + 1

    def names(self, process):
        return [step["step"] for step in self.steps if step["process"] == process]

    def step(self, process, name):
        (found,) = [step for step in self.steps
                    if step["process"] == process and step["step"] == name]
        return found


def without_planning(names):
    return [name for name in names if name not in PLANNING]


def test_a_plain_bundle_is_explained_on_one_screen(plain, runtime, tables):
    text = runtime("explain", plain.path).stdout
    assert text == runtime("explain", "--bundle", plain.path).stdout
    assert text == runtime("explain", cwd=plain.path).stdout
    lines = text.splitlines()
    assert len(lines) <= 50 and max(map(len, lines)) <= 120
    for table in ("create", "container", "start", "program"):
        for step in tables[table]:
            assert step in text
    assert "fsopen, open_tree" in text and "config#mounts" in text and "/dev/pts" in text
    assert text.index("clone-process") < text.index("pivot-root") < text.index(" execute ")
    assert "Ignored: nothing." in text
    assert not runtime.root.exists(), "explaining makes nothing"


def test_explained_at_length(bundle, runtime):
    for name in ("data", "tmp"):
        bundle.mount(f"/{name}", type="tmpfs", source="tmpfs", options=["size=1m"])
    bundle.write("exit=0")
    text = runtime("explain", "--long", bundle.path).stdout
    mounts = [mount["destination"] for mount in bundle.spec["mounts"]]
    line = next(line for line in text.splitlines() if "tmpfs on /data" in line)
    assert all(f" on {mount}" in line for mount in mounts)
    assert "unlike chroot(2)" in text.lower() and "pivot_root(2)" in text
    assert "Here: nothing to do." in text


def test_what_is_ignored_is_said(bundle, runtime):
    bundle.spec["nobody"] = {"knows": 1}
    bundle.linux["a/b"] = True
    bundle.process["capabilities"] = {"bounding": ["CAP_NO_SUCH"]}
    bundle.write("exit=0")
    done = runtime("explain", bundle.path)
    ignored = next(line for line in done.stdout.splitlines() if line.startswith("Ignored"))
    assert ignored.endswith("known: /linux/a~1b, /nobody")
    assert "Warning: /process/capabilities/bounding: CAP_NO_SUCH is unknown" in done.stdout
    assert done.stderr == ""


def test_limits_that_are_left_out_are_said(bundle, runtime, monkeypatch):
    missing = sorted(set(LIMITS) - controllers())
    if not missing:
        pytest.skip("every controller is there")
    bundle.linux["resources"] = {missing[0]: LIMITS[missing[0]]}
    bundle.write("exit=0")
    assert f"/linux/resources/{missing[0]}" in runtime.fails("explain", bundle.path)
    monkeypatch.setenv("CORACLE_IGNORE_MISSING_CONTROLLERS", "1")
    assert f"Warning: /linux/resources/{missing[0]}" in runtime("explain", bundle.path).stdout


def test_what_is_wrong_is_said(bundle, runtime):
    told = runtime.fails("explain", bundle.path)
    assert f"{bundle.path}/config.json" in told and "coracle spec" in told
    bundle.spec["process"]["cwd"] = "x"
    bundle.write()
    assert "/process/cwd" in runtime.fails("explain", bundle.path)


def test_every_step_of_run_is_traced(bundle, runtime, directory, tables):
    bundle.write("exit=0")
    traced = Traced(runtime, directory, "run", "--bundle", bundle.path, bundle.new_container())
    assert (without_planning(traced.names("runtime"))
            == tables["create"] + tables["start"] + tables["delete"])
    assert traced.names("container") == tables["container"] + tables["program"]
    # Each goes on when the other lets it.
    mounts, pivot = (traced.step("container", name) for name in ("mount-filesystems", "pivot-root"))
    assert traced.step("runtime", "clone-process")["start_us"] <= mounts["start_us"]
    assert mounts["spec"] == "config.md#mounts"
    ready = traced.step("runtime", "await-ready")
    assert pivot["start_us"] <= ready["start_us"] + ready["us"]
    connect = traced.step("runtime", "connect")
    assert connect["start_us"] <= traced.step("container", "execute")["start_us"]


def test_verbs_one_by_one_are_traced(bundle, runtime, directory, tables):
    bundle.write("sleep")
    name = bundle.new_container()
    traced = Traced(runtime, directory, "create", "--bundle", bundle.path, name)
    assert without_planning(traced.names("runtime")) == tables["create"]
    assert traced.names("container") == tables["container"]
    traced = Traced(runtime, directory, "start", name)
    assert traced.names("runtime") == tables["start"]
    assert traced.names("container") == tables["program"]
    traced = Traced(runtime, directory, "exec", name, "/probe", "exit=3", code=3)
    assert traced.names("runtime") == tables["exec"]
    assert traced.names("exec") == tables["exec-process"] + tables["program"]
    traced = Traced(runtime, directory, "delete", "--force", name)
    assert traced.names("runtime") == tables["delete"]


def test_a_time_namespace_does_not_shift_the_trace(bundle, runtime, directory):
    """Its clock is a day ahead: Traced would find steps after the end of the command."""
    bundle.linux["namespaces"].append({"type": "time"})
    bundle.linux["timeOffsets"] = {"monotonic": {"secs": 86400}}
    bundle.write("sleep")
    name = bundle.new_container()
    Traced(runtime, directory, "create", "--bundle", bundle.path, name)
    Traced(runtime, directory, "start", name)
    traced = Traced(runtime, directory, "exec", name, "/probe", "exit=0")
    assert "execute" in traced.names("exec")


def test_the_step_that_failed_ends_the_trace(bundle, runtime, directory):
    bundle.write("exit=0")
    bundle.process["args"] = ["/no/such/program"]
    name = bundle.new_container()
    traced = Traced(runtime, directory, "create", "--bundle", bundle.path, name, code=1)
    failed = {(step["process"], step["step"]) for step in traced.steps if "failed" in step}
    assert failed == {("runtime", "await-ready"), ("container", "find-executable")}
    assert traced.names("runtime")[-1] == "await-ready"
    assert traced.names("container")[-1] == "find-executable"


def test_a_trace_for_people(bundle, runtime):
    bundle.write("exit=0")
    done = runtime("--trace", "run", "--bundle", bundle.path, bundle.new_container())
    lines = done.stderr.splitlines()
    ours, theirs = ([line[lines[0].index(process):] for line in lines]
                    for process in ("runtime", "container"))
    assert any(line.startswith("clone-process ") for line in ours)
    assert any(line.startswith("pivot-root ") for line in theirs)
    assert any(line.startswith("|") for line in ours + theirs), "nothing shows what overlaps"
    assert lines[-1].endswith("in all")


def test_a_trace_as_a_picture(bundle, runtime, directory, tables):
    bundle.write("exit=0")
    path = directory / "trace.svg"
    runtime(f"--trace=svg:{path}", "run", "--bundle", bundle.path, bundle.new_container())
    root = xml.etree.ElementTree.parse(path).getroot()
    svg = "{http://www.w3.org/2000/svg}"
    bars = [bar.find(f"{svg}title").text.split(":")[0] for bar in root.iter(f"{svg}rect")
            if bar.find(f"{svg}title") is not None]
    for table in ("create", "container", "start", "program", "delete"):
        assert set(tables[table]) <= set(bars)
    assert len(bars) == sum(len(tables[table]) for table in
                            ("create", "container", "start", "program", "delete")) + len(PLANNING)
    assert "http" not in path.read_text().replace("http://www.w3.org/2000/svg", "")


def test_a_trace_that_cannot_be_written_makes_no_container(bundle, runtime):
    bundle.write("exit=0")
    name = bundle.new_container()
    told = runtime.fails("--trace=json:/no/such/place", "run", "--bundle", bundle.path, name)
    assert "/no/such/place" in told and not runtime.root.exists()
    assert "json" in runtime.fails("--trace=xml", "run", "--bundle", bundle.path, name)
