"""runtime.md: the operations and the states between them."""

import fcntl
import json
import os
import signal
import subprocess

import pytest

from lib.wait import wait_until
from oci.harness import Container, alive, facts


@pytest.mark.checklist(127, 128, 130, 135)
def test_from_created_to_gone(bundle, runtime):
    container = bundle.create("print=hello", "trap=7", "sleep")
    state = container.state()
    assert state["status"] == "created" and state["id"] == container.id
    assert state["bundle"] == str(bundle.path) and state["pid"] > 0
    assert container.text() == ""
    container.start()
    container.wait("running")
    wait_until(lambda: "hello" in container.text(), "the program ran")
    container.kill("TERM")
    container.wait("stopped")
    assert container.state()["pid"] == 0
    container.delete()
    assert "does not exist" in runtime.fails("state", container.id)


@pytest.mark.checklist(9, 127)
def test_state_has_annotations_and_version(bundle):
    bundle.spec["annotations"] = {"org.example.a": "b"}
    state = bundle.create().state()
    assert state["annotations"]["org.example.a"] == "b"
    assert state["ociVersion"].startswith("1.")


def test_run_gives_the_exit_code(bundle):
    bundle.run("exit=42", code=42)


def test_run_of_a_program_that_a_signal_ends(bundle):
    bundle.without_namespace("pid")  # the first process of one is immune to its own signals
    bundle.run("die=9", code=128 + 9)


def test_run_passes_output_and_input(bundle):
    done = bundle.run_text("print=out", "complain=err", "cat", input="from outside")
    assert done.stdout == "out\nfrom outside" and done.stderr == "err\n"


def test_run_keeps_nothing_unless_told(bundle, runtime):
    bundle.run("exit=0")
    assert runtime("list", "-q").stdout == ""
    bundle.run("exit=0", options=["--keep"])
    assert runtime("list", "-q").stdout.split() == [bundle.id]
    assert Container(runtime, bundle.id, None).status() == "stopped"


def test_run_detached_writes_the_pid_file(bundle, directory):
    container = bundle.create("sleep", verb=("run", "--detach"),
                              options=["--pid-file", directory / "pid"])
    assert container.status() == "running"
    assert int((directory / "pid").read_text()) == container.pid()


def test_create_writes_the_pid_file(bundle, directory):
    container = bundle.create(options=["--pid-file", directory / "pid"])
    assert int((directory / "pid").read_text()) == container.pid()


def test_run_passes_signals_on(bundle, runtime):
    bundle.write("tell=10", "trap=5", "print=ready", "sleep")
    name = bundle.new_container()
    with subprocess.Popen(runtime.command("run", "--bundle", bundle.path, name),
                          stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert json.loads(process.stdout.readline()) == {"signal": signal.SIGUSR1}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 5
    assert runtime("list", "-q").stdout == ""


def test_run_reaps_the_orphans_of_a_container_without_pid_namespace(bundle, runtime):
    bundle.without_namespace("pid")
    bundle.run("orphan=0", "exit=3", code=3)


def test_an_orphan_does_not_outlive_run(bundle):
    bundle.without_namespace("pid")
    bundle.run("orphan=1000", "exit=0")
    assert not bundle.leftovers(bundle.id)


@pytest.mark.checklist(129, 136)
def test_a_name_is_taken_once(bundle, runtime):
    container = bundle.start()
    assert "exist" in runtime.fails("create", "--bundle", bundle.path, container.id)
    assert container.status() == "running"


@pytest.mark.checklist(129)
@pytest.mark.parametrize("name", ["a/b", "..", "a b", "a\nb"])
def test_a_name_that_is_no_name(bundle, runtime, name):
    bundle.write("exit=0")
    bundle.made.append(name)
    runtime.fails("create", "--bundle", bundle.path, name)
    assert not runtime.root.exists() or not [n for n in os.listdir(runtime.root) if n[0] != "."]


@pytest.mark.checklist(129)
@pytest.mark.parametrize("name", ["A_b+c-d.e", "x" * 200])
def test_a_name_that_is_one(bundle, runtime, name):
    bundle.write("exit=0")
    bundle.made.append(name)
    runtime("run", "--bundle", bundle.path, name)


@pytest.mark.checklist(132)
def test_start_only_what_is_created(bundle, runtime):
    container = bundle.start("trap=0", "sleep")
    runtime.fails("start", container.id)
    assert container.status() == "running"
    container.kill("KILL")
    container.wait()
    runtime.fails("start", container.id)
    assert "does not exist" in runtime.fails("start", "nobody")


@pytest.mark.parametrize("name", ["TERM", "SIGTERM", "15", "term"])
def test_kill_takes_every_spelling(bundle, name):
    container = bundle.start("trap=0", "print=ready", "sleep")
    wait_until(lambda: "ready" in container.text(), "the trap is set")
    container.kill(name)
    container.wait()


@pytest.mark.checklist(10)
def test_annotation_of_an_image_has_no_effect(bundle, runtime):
    bundle.spec["annotations"] = {"org.opencontainers.image.stopSignal": "SIGKILL"}
    container = bundle.start("trap=0", "print=ready", "sleep")
    wait_until(lambda: "ready" in container.text(), "the trap is set")
    runtime("kill", container.id)
    container.wait()
    assert container.state()["annotations"] == bundle.spec["annotations"]


@pytest.mark.checklist(133)
def test_kill_of_what_does_not_run(bundle, runtime):
    container = bundle.start("exit=0")
    container.wait()
    message = runtime.fails("kill", container.id, "KILL")
    assert "not running" in message or "No such process" in message  # containerd knows both
    assert "does not exist" in runtime.fails("kill", "nobody", "KILL")


def test_kill_with_a_signal_that_is_none(bundle, runtime):
    container = bundle.start()
    runtime.fails("kill", container.id, "NOSUCH")
    runtime.fails("kill", container.id, "99999")
    assert container.status() == "running"


@pytest.mark.checklist(133)
def test_kill_a_created_container(bundle):
    container = bundle.create()
    container.kill("KILL")
    container.wait()
    container.delete()


def test_kill_all_reaches_those_without_pid_namespace(bundle):
    bundle.without_namespace("pid")
    container = bundle.start("orphan=1000", "print=ready", "sleep")
    wait_until(lambda: "ready" in container.text(), "the orphan is made")
    container.kill("KILL", "--all")
    container.wait()
    wait_until(lambda: not (bundle.cgroup / "cgroup.procs").read_text(), "the orphan is gone")


@pytest.mark.checklist(134, 135)
def test_delete_needs_a_stopped_container_or_force(bundle, runtime):
    container = bundle.start()
    runtime.fails("delete", container.id)
    assert container.status() == "running"
    container.delete("--force")
    assert not bundle.leftovers(container.id)
    container.delete("--force")
    runtime.fails("delete", container.id)


def test_delete_of_an_unknown_container(runtime):
    assert "does not exist" in runtime.fails("delete", "nobody")


@pytest.mark.checklist(134, 135)
def test_delete_of_a_created_container(bundle, runtime):
    container = bundle.create()
    pid = container.pid()
    container.delete("-f")
    assert not alive(pid) and not bundle.leftovers(container.id)


@pytest.mark.checklist(11, 130)
def test_config_counts_as_it_was_at_create(bundle):
    container = bundle.create("print=first")
    bundle.write("print=second")
    container.start()
    container.wait()
    assert container.text() == "first\n"


@pytest.mark.checklist(5, 127)
def test_relative_bundle(bundle, runtime):
    bundle.write("cwd")
    name = bundle.new_container()
    done = runtime("run", "-b", "bundle", name, cwd=bundle.path.parent)
    assert facts(done.stdout) == {"cwd": "/"}
    name = bundle.new_container()
    assert facts(runtime("run", name, cwd=bundle.path).stdout) == {"cwd": "/"}


def test_pause_and_resume(bundle, runtime):
    container = bundle.start()
    runtime("pause", container.id)
    assert container.status() == "paused"
    assert "frozen 1" in (bundle.cgroup / "cgroup.events").read_text()
    runtime.fails("exec", container.id, "/probe", "cwd")
    runtime("resume", container.id)
    assert container.status() == "running"
    assert container.exec("cwd") == {"cwd": "/"}
    runtime.fails("resume", container.id)


def test_delete_of_a_paused_container(bundle, runtime):
    container = bundle.start()
    runtime("pause", container.id)
    container.delete("--force")


def test_pause_of_what_does_not_run(bundle, runtime):
    container = bundle.start("exit=0")
    container.wait()
    runtime.fails("pause", container.id)
    assert "does not exist" in runtime.fails("pause", "nobody")


def test_list_in_every_form(bundle, runtime):
    container = bundle.start()
    rows = runtime("list").stdout.splitlines()
    assert rows[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    row = rows[1].split()
    assert row[:4] == [container.id, str(container.pid()), "running", str(bundle.path)]
    assert row[5] == "root"
    listed = json.loads(runtime("list", "--format", "json").stdout)
    assert [one["id"] for one in listed] == [container.id]
    assert listed[0]["status"] == "running" and listed[0]["owner"] == "root"
    runtime.fails("list", "--format", "xml")


def test_ps(bundle, runtime):
    container = bundle.start()
    assert json.loads(runtime("ps", "--format", "json", container.id).stdout) == [container.pid()]
    rows = runtime("ps", container.id).stdout.splitlines()
    assert len(rows) == 2 and "PID" in rows[0] and "/probe sleep" in rows[1]
    rows = runtime("ps", container.id, "-o", "pid,comm").stdout.splitlines()
    assert rows[1].split() == [str(container.pid()), "probe"]


def test_container_killed_from_outside_is_stopped(bundle):
    container = bundle.start()
    os.kill(container.pid(), signal.SIGKILL)
    container.wait("stopped")
    container.delete()


@pytest.mark.deviates("runc")
def test_list_of_nothing(runtime):
    assert runtime("list", "-q").stdout == ""


@pytest.mark.coracle
def test_states_are_for_the_owner_only(bundle, runtime):
    container = bundle.create()
    assert os.stat(runtime.root / container.id).st_mode & 0o777 == 0o700


def test_program_of_the_runtime_is_out_of_reach(bundle):
    """CVE-2019-5736: until its program runs, the container process is the runtime's own file."""
    container = bundle.create("sleep")
    descriptor = os.open(f"/proc/{container.pid()}/exe", os.O_RDONLY)
    try:
        read_only = bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)
        try:
            sealed = bool(fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE)
        except OSError:
            sealed = False
    finally:
        os.close(descriptor)
    assert read_only or sealed
