"""config.md#posix-platform-hooks: all six kinds, in their places, with the state on stdin."""

import json
import os

import pytest

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
STATUS = {"prestart": "created", "createRuntime": "creating", "createContainer": "creating",
          "startContainer": "created", "poststart": "running", "poststop": "stopped"}


@pytest.fixture
def log(bundle):
    """Where hooks write; inside of the rootfs too, for those that see only that."""
    path = bundle.rootfs / "data/log"
    path.touch()
    path.chmod(0o666)
    return path


def shell(script, **more):
    return {"path": "/bin/sh", "args": ["sh", "-c", script]} | more


@pytest.mark.checklist(54, 55, 63)
def test_order_of_creation(bundle, log):
    bundle.spec["hooks"] = {kind: [shell(f"echo {kind} >> {log}")] for kind in
                            ("createContainer", "createRuntime", "prestart")}
    container = bundle.create()
    assert log.read_text().split() == ["prestart", "createRuntime", "createContainer"]
    container.start()
    assert log.read_text().split() == ["prestart", "createRuntime", "createContainer"]


@pytest.mark.checklist(57)
def test_start_container_is_inside_and_before_the_program(bundle, log):
    """There is no shell in the container: the probe writes."""
    bundle.spec["hooks"] = {"startContainer": [
        {"path": "/probe", "args": ["probe", "write=/data/log.inside,ran"]}]}
    container = bundle.create("read=/data/log.inside")
    assert not (bundle.rootfs / "data/log.inside").exists()
    container.start()
    assert container.wait_facts("read=/data/log.inside") == {"read=/data/log.inside": "ran"}


@pytest.mark.checklist(58)
@pytest.mark.deviates("runc")  # poststart runs at create
def test_poststart_is_over_when_start_returns(bundle, log):
    bundle.spec["hooks"] = {"poststart": [shell(f"sleep 0.2; echo poststart >> {log}")]}
    container = bundle.create()
    assert log.read_text() == ""
    container.start()
    assert log.read_text() == "poststart\n"


@pytest.mark.checklist(59)
def test_poststop_is_after_delete(bundle, log):
    bundle.spec["hooks"] = {"poststop": [shell(f"echo poststop >> {log}")]}
    container = bundle.start("exit=0")
    container.wait()
    assert log.read_text() == ""
    container.delete()
    assert log.read_text() == "poststop\n"


def state_of_hook(bundle, log, kind):
    """(container, its pid, what the hook reads)"""
    bundle.spec["annotations"] = {"org.example.hook": "yes"}
    bundle.spec["hooks"] = {kind: [shell(f"cat > {log}")]}
    container = bundle.start()
    pid = container.pid()
    container.delete("--force")
    return container, pid, json.loads(log.read_text())


OUTSIDE = [kind for kind in KINDS if kind != "startContainer"]


@pytest.mark.checklist(64)
@pytest.mark.deviates("runc", "crun")
@pytest.mark.parametrize("kind", OUTSIDE)
def test_state_on_stdin(bundle, log, kind):
    container, _, state = state_of_hook(bundle, log, kind)
    assert state["id"] == container.id and state["bundle"] == str(bundle.path)
    assert state["annotations"]["org.example.hook"] == "yes"
    # prestart comes after the environment is made and before create ends: both words are right.
    assert state["status"] == STATUS[kind] or (kind, state["status"]) == ("prestart", "creating")


@pytest.mark.checklist(65)
@pytest.mark.deviates("crun")
@pytest.mark.parametrize("kind", [kind for kind in OUTSIDE if kind != "poststop"])
def test_pid_as_the_hook_sees_it(bundle, log, kind):
    _, pid, state = state_of_hook(bundle, log, kind)
    assert state["pid"] == (1 if kind == "createContainer" else pid)


@pytest.mark.checklist(55, 56)
def test_namespaces_of_hooks(bundle, log):
    # createContainer sees the host's files (before pivot_root) from the container's namespaces.
    script = f"readlink /proc/self/ns/net > {log}"
    bundle.spec["hooks"] = {
        "createRuntime": [shell(script + ".runtime")],
        "createContainer": [shell(script + ".container")]}
    inside = bundle.run("ns")["ns"]["net"]
    own = os.readlink("/proc/self/ns/net")
    assert (log.parent / "log.runtime").read_text().strip() == own
    assert (log.parent / "log.container").read_text().strip() == inside != own


@pytest.mark.checklist(57, 64)
def test_state_on_stdin_of_start_container(bundle):
    bundle.spec["hooks"] = {"startContainer": [{"path": "/probe", "args": ["probe", "stdin"]}]}
    done = bundle.run_text("print=program")
    first, second = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    assert second == "program"
    if first != "program":  # what a hook prints need not reach anybody
        assert json.loads(json.loads(first)["stdin"])["status"] == "created"


@pytest.mark.checklist(61, 63)
def test_several_in_order_with_arguments_and_environment(bundle, log):
    bundle.spec["hooks"] = {"createRuntime": [
        shell(f'echo "$0 $1 $A" >> {log}', args=["sh", "-c", f'echo "$1 $A" >> {log}', "x", "one"],
              env=["A=first"]),
        shell(f'echo "two $A" >> {log}', env=["A=second"])]}
    bundle.run("exit=0")
    assert log.read_text() == "one first\ntwo second\n"


@pytest.mark.checklist(54, 55, 56, 131)
@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_failure_ends_creation(bundle, kind):
    bundle.spec["hooks"] = {kind: [shell("echo because >&2; exit 7")]}
    message = bundle.refused()
    assert "hook" in message


@pytest.mark.deviates("runc")  # poststart fails create; start does not wait for startContainer
@pytest.mark.parametrize("kind", [
    pytest.param("startContainer", marks=pytest.mark.checklist(57)),
    pytest.param("poststart", marks=pytest.mark.checklist(58))])
def test_failure_ends_start(bundle, runtime, kind):
    path = "/probe" if kind == "startContainer" else "/bin/false"
    bundle.spec["hooks"] = {kind: [{"path": path, "args": ["x", "exit=3"]}]}
    container = bundle.create("sleep")
    runtime.fails("start", container.id)
    if runtime("state", container.id, code=None).returncode == 0:  # not deleted at once
        container.wait("stopped")


@pytest.mark.checklist(59)
@pytest.mark.deviates("runc")
def test_failure_of_poststop_is_a_warning(bundle, log):
    bundle.spec["hooks"] = {"poststop": [{"path": "/bin/false"}, shell(f"echo ran >> {log}")]}
    container = bundle.start("exit=0")
    container.wait()
    container.delete()
    assert log.read_text() == "ran\n" and not bundle.leftovers(container.id)


@pytest.mark.checklist(62)
@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_timeout(bundle, kind):
    bundle.spec["hooks"] = {kind: [{"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}]}
    bundle.refused()


@pytest.mark.checklist(131)
def test_hook_that_is_not_there(bundle):
    bundle.spec["hooks"] = {"createRuntime": [{"path": "/nonexistent/hook"}]}
    assert "/nonexistent/hook" in bundle.refused()


@pytest.mark.checklist(59, 135)
def test_poststop_runs_after_force(bundle, log):
    bundle.spec["hooks"] = {"poststop": [shell(f"cat >> {log}")]}
    bundle.start().delete("--force")
    assert json.loads(log.read_text())["status"] == "stopped"
