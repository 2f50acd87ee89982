"""exec: a further process inside a container."""

import json
import os
import signal
import subprocess

import pytest

from lib.wait import wait_until
from oci.harness import alive, facts, read_all

KILL = 1 << 5


@pytest.fixture
def container(bundle):
    bundle.process["env"] += ["FROM=config"]
    return bundle.start()


def test_sees_what_the_container_sees(container, bundle):
    seen = container.exec("ns", "list=/", "read=/proc/self/cgroup", "fds", "pid")
    for kind, name in seen["ns"].items():
        assert name == os.readlink(f"/proc/{container.pid()}/ns/{kind}")
    assert "probe" in seen["list=/"] and seen["fds"] == [0, 1, 2] and seen["pid"] > 1


def test_is_in_the_cgroup_of_the_container(container, bundle, runtime):
    runtime.detached("exec", "--detach", container.id, "/probe", "sleep")
    assert len((bundle.cgroup / "cgroup.procs").read_text().split()) == 2
    assert len(json.loads(runtime("ps", "--format", "json", container.id).stdout)) == 2


def test_exit_codes(container):
    container.exec("exit=9", code=9)
    container.exec("die=15", code=128 + 15)


def test_input_and_output(container, runtime):
    done = runtime("exec", container.id, "/probe", "complain=err", "cat", input="through")
    assert done.stdout == "through" and done.stderr == "err\n"


def test_environment_and_working_directory(container):
    options = ["-e", "A=1", "-e", "B=2", "--cwd", "/tmp"]
    seen = container.exec("env", "cwd", options=options)
    assert {"A=1", "B=2", "FROM=config"} <= set(seen["env"]) and seen["cwd"] == "/tmp"


def test_user_and_groups(container):
    ids = container.exec("ids", options=["--user", "1000:1001", "-g", "5", "-g", "6"])["ids"]
    assert (ids["uid"], ids["gid"]) == (1000, 1001) and {5, 6} <= set(ids["groups"])
    ids = container.exec("ids", options=["-u", "7"])["ids"]
    assert (ids["uid"], ids["gid"]) == (7, 0)


@pytest.mark.parametrize("user", ["root", "1x", "-1", "4294967296", "1:", ":1", "1:2:3"])
def test_user_that_is_no_number(container, runtime, user):
    if runtime.name != "coracle" and user in ("1:2:3", "4294967296"):
        pytest.skip(f"{runtime.name} is known to do otherwise")
    runtime.fails("exec", f"--user={user}", container.id, "/probe", "ids")


def test_capabilities(bundle, runtime):
    bundle.process["capabilities"] = {}
    container = bundle.start()
    caps = container.exec("caps", options=["--cap", "CAP_KILL"])["caps"]
    assert int(caps["bounding"], 16) == KILL and int(caps["permitted"], 16) == KILL
    assert int(container.exec("caps")["caps"]["bounding"], 16) == 0


def test_no_new_privileges(container):
    assert container.exec("no_new_privs")["no_new_privs"] == "0"
    assert container.exec("no_new_privs", options=["--no-new-privs"])["no_new_privs"] == "1"


@pytest.mark.deviates("runc")  # no umask
def test_process_file(container, runtime, directory):
    (directory / "process.json").write_text(json.dumps(
        {"args": ["/probe", "ids", "cwd", "env"], "cwd": "/data", "env": ["ONLY=this"],
         "user": {"uid": 3, "gid": 4, "umask": 0o27}, "noNewPrivileges": True}))
    seen = facts(runtime("exec", "--process", directory / "process.json", container.id).stdout)
    assert seen["cwd"] == "/data" and "ONLY=this" in seen["env"]
    assert (seen["ids"]["uid"], seen["ids"]["gid"], seen["ids"]["umask"]) == (3, 4, 0o27)
    assert not any(entry.startswith("FROM") for entry in seen["env"])


def test_detach_and_pid_file(container, runtime, directory):
    runtime.detached("exec", "-d", "--pid-file", directory / "pid", container.id, "/probe", "sleep")
    pid = int((directory / "pid").read_text())
    assert alive(pid)
    assert os.readlink(f"/proc/{pid}/ns/pid") == os.readlink(f"/proc/{container.pid()}/ns/pid")
    container.kill("KILL")
    wait_until(lambda: not alive(pid), "it ends with the pid namespace")


def test_signals_are_passed_on(container, runtime):
    command = runtime.command("exec", container.id, "/probe", "trap=6", "print=ready", "sleep")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 6


def test_preserved_descriptors_are_the_only_ones(container):
    with open("/dev/null") as other:
        assert container.exec("fds")["fds"] == [0, 1, 2]
        assert other


@pytest.mark.parametrize("program, text", [
    ("nosuch", "executable file not found in $PATH"), ("/nosuch", "no such file or directory"),
    ("/etc/passwd", "permission denied")])
def test_program_that_cannot_be_executed(container, runtime, program, text):
    done = runtime("exec", container.id, program, code=None)
    assert done.returncode == 255 or runtime.name != "coracle"
    assert done.returncode != 0 and text.lower() in done.stderr.lower()


def test_of_what_does_not_run(bundle, runtime):
    assert "does not exist" in runtime.fails("exec", "nobody", "/probe")
    container = bundle.start("exit=0")
    container.wait()
    runtime.fails("exec", container.id, "/probe")


def test_in_a_created_container(bundle):
    assert bundle.create().exec("cwd") == {"cwd": "/"}


def test_without_a_program(container, runtime):
    runtime.fails("exec", container.id)


@pytest.mark.deviates("crun")
def test_in_a_paused_container_when_told(container, runtime):
    runtime("pause", container.id)
    command = runtime.command("exec", "--ignore-paused", container.id, "/probe", "cwd")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        runtime("resume", container.id)
        assert facts(process.communicate(timeout=60)[0]) == {"cwd": "/"}


def test_in_a_user_namespace(bundle):
    bundle.with_user_namespace()
    container = bundle.start()
    seen = container.exec("ids", "ns", "write=/data/made")
    assert seen["ids"]["uid"] == 0
    assert seen["ns"]["user"] == os.readlink(f"/proc/{container.pid()}/ns/user")
    assert (bundle.rootfs / "data/made").stat().st_uid == 100000


def test_terminal(container, runtime, directory, console_socket):
    runtime.detached("exec", "--tty", "--detach", "--console-socket", console_socket.path,
                     container.id, "/probe", "tty")
    seen = facts(read_all(console_socket.master()).replace("\r", ""))["tty"]
    assert seen["isatty"] == [True, True, True] and seen["controlling"] and seen["leader"]


def test_no_descriptor_of_the_host_is_left(container):
    """CVE-2024-21626."""
    words = [f"open-r=/proc/self/fd/{descriptor}/etc/shadow" for descriptor in range(3, 20)]
    assert set(container.exec(*words).values()) == {"ENOENT"}


@pytest.mark.parametrize("cwd", ["/proc/self/fd/7", "/proc/self/fd/8/../.."])
def test_working_directory_stays_inside(container, runtime, cwd):
    """CVE-2024-21626: a working directory that names a leaked descriptor."""
    done = runtime("exec", "--cwd", cwd, container.id, "/probe", "cwd", "list=.", code=None)
    if done.returncode == 0:
        assert "probe" in facts(done.stdout)["list=."]


@pytest.mark.checklist(52)
def test_cpu_affinity_of_a_further_process(bundle):
    """`final` holds once it is in the cgroup; the first process is not bound."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU leaves no choice")
    bundle.process["execCPUAffinity"] = {"initial": "0-1", "final": "1"}
    container = bundle.start("affinity", "sleep")
    assert len(container.wait_facts("affinity")["affinity"]) > 1
    assert container.exec("affinity")["affinity"] == [1]
