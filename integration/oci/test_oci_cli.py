"""The command line itself: version, help, features, spec, events, update, usage."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess

import pytest

from oci.harness import controllers


def test_version(runtime):
    lines = subprocess.run([runtime.program, "--version"], capture_output=True, text=True,
                           check=True).stdout.splitlines()
    assert lines[0].split()[1] == "version" and any(line.startswith("spec: 1.") for line in lines)
    assert subprocess.run([runtime.program, "-v"], capture_output=True, text=True,
                          check=True).stdout.splitlines() == lines


def test_help(runtime):
    text = subprocess.run([runtime.program, "--help"], capture_output=True, text=True,
                          check=True).stdout
    for verb in ("create", "start", "run", "exec", "state", "kill", "delete"):
        assert verb in text
    assert "--bundle" in runtime("create", "--help").stdout


@pytest.mark.coracle
@pytest.mark.parametrize("words", [
    [], ["nosuch"], ["create"], ["create", "a", "b"], ["state"], ["--nosuch", "list"],
    ["create", "--nosuch", "x"], ["--log-format", "xml", "list"], ["--rootless", "maybe", "list"],
    ["exec"], ["exec", "x"], ["ps"], ["events", "--interval", "0s", "x"],
    ["run", "--preserve-fds", "x", "y"], ["update", "--memory", "lots", "x"]])
def test_usage(runtime, words):
    done = runtime(*words, code=None)
    assert done.returncode == 1
    assert done.stderr.startswith("coracle: ") and len(done.stderr.splitlines()) == 1


def test_features(runtime):
    features = json.loads(runtime("features").stdout)
    assert features["ociVersionMin"] == "1.0.0" and features["ociVersionMax"].startswith("1.")
    assert set(features["hooks"]) == {"prestart", "createRuntime", "createContainer",
                                      "startContainer", "poststart", "poststop"}
    linux = features["linux"]
    assert {"pid", "network", "mount", "ipc", "uts", "user", "cgroup"} <= set(linux["namespaces"])
    assert {"ro", "rbind", "nosuid"} <= set(features["mountOptions"])
    assert "CAP_KILL" in linux["capabilities"] and linux["cgroup"]["v2"]
    assert "SCMP_ACT_ERRNO" in linux["seccomp"]["actions"]


@pytest.mark.coracle
def test_features_are_complete(runtime):
    linux = json.loads(runtime("features").stdout)["linux"]
    assert "time" in linux["namespaces"] and linux["seccomp"]["archs"]
    assert linux["seccomp"]["knownFlags"] and linux["mountExtensions"]["idmap"]["enabled"]


def test_spec_runs(bundle, runtime):
    assert runtime("spec", cwd=bundle.path).stdout == ""
    spec = json.loads((bundle.path / "config.json").read_text())
    assert spec["process"]["args"] == ["sh"] and spec["root"]["path"] == "rootfs"
    runtime.fails("spec", "--bundle", bundle.path)
    spec["process"]["terminal"] = False
    spec["process"]["args"] = ["/probe", "exit=6"]
    (bundle.path / "config.json").write_text(json.dumps(spec))
    name = f"spec-{os.getpid()}"
    bundle.made.append(name)
    runtime("run", "--bundle", bundle.path, name, code=6)


def test_spec_for_a_user(bundle, runtime):
    runtime("spec", "--rootless", "-b", bundle.path)
    spec = json.loads((bundle.path / "config.json").read_text())
    kinds = {ns["type"] for ns in spec["linux"]["namespaces"]}
    assert "user" in kinds and "network" not in kinds
    assert spec["linux"]["uidMappings"] == [{"containerID": 0, "hostID": 0, "size": 1}]


@pytest.mark.deviates("crun")
def test_stats(bundle, runtime):
    container = bundle.start()
    event = json.loads(runtime("events", "--stats", container.id).stdout)
    assert event["type"] == "stats" and event["id"] == container.id
    assert event["data"]["cpu"]["usage"]["total"] > 0
    if "pids" in controllers():
        assert event["data"]["pids"]["current"] == 1
    if "memory" in controllers():
        assert event["data"]["memory"]["usage"]["usage"] > 0


@pytest.mark.deviates("crun")
def test_events_until_the_end(bundle, runtime):
    if runtime.name == "runc" and "memory" not in controllers():
        pytest.skip("runc needs the memory controller for events")
    container = bundle.start()
    command = runtime.command("events", "--interval", "100ms", container.id)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(2):
            assert json.loads(process.stdout.readline())["type"] == "stats"
        container.kill("KILL")
        process.stdout.read()
        assert process.wait(60) == 0


@pytest.mark.deviates("crun")
def test_stats_of_what_does_not_run(bundle, runtime):
    container = bundle.start("exit=0")
    container.wait()
    runtime.fails("events", "--stats", container.id)
    assert "does not exist" in runtime.fails("events", "--stats", "nobody")


def test_update_from_standard_input(bundle, runtime):
    container = bundle.start()
    runtime("update", "--resources=-", container.id, input="{}")
    runtime("update", "--resources", "-", container.id, input='{"devices": null}')
    runtime.fails("update", "--resources=-", container.id, input="{")
    assert "does not exist" in runtime.fails("update", "--memory", "1g", "nobody")


@pytest.mark.coracle
def test_update_with_a_bad_file(bundle, runtime):
    container = bundle.start()
    message = runtime.fails("update", "-r", "-", container.id,
                            input='{"memory": {"limit": "1g"}, "pids": {"limit": -5}}')
    assert "/memory/limit" in message and "/pids/limit" in message


@pytest.mark.coracle
def test_without_systemd_one_line_says_so(bundle, runtime):
    if pathlib.Path("/run/systemd/system").exists():
        pytest.skip("this host has a systemd")
    bundle.linux["cgroupsPath"] = "system.slice:coracle:x"
    bundle.write("exit=0")
    message = runtime.fails("--systemd-cgroup", "create", "--bundle", bundle.path, "x")
    assert len(message.splitlines()) == 1 and "no bus of the system's systemd" in message
    assert not (runtime.root / "x").exists()


@pytest.mark.coracle
def test_image_is_another_program(runtime, directory):
    program = directory / "bin/coracle"
    program.parent.mkdir()
    shutil.copy(runtime.program, program)
    done = subprocess.run([program, "image", "list"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "coracle-image is neither in" in done.stderr
    beside = directory / "libexec/coracle/coracle-image"
    beside.parent.mkdir(parents=True)
    beside.write_text("#!/bin/sh\necho \"$@\"\n")
    beside.chmod(0o755)
    done = subprocess.run([program, "image", "bundle", "run", "-x"], capture_output=True,
                          text=True, check=True)
    assert done.stdout == "bundle run -x\n"


@pytest.fixture
def receiver(directory):
    """A unix socket that takes one descriptor."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(directory / "receiver"))
    listener.listen()
    listener.settimeout(60)

    def take():
        connection, _ = listener.accept()
        with connection:
            return socket.recv_fds(connection, 100, 1)[1][0]
    yield take
    listener.close()


@pytest.mark.deviates("crun")
def test_pidfd_socket(bundle, runtime, directory, receiver):
    container = bundle.create(options=("--pidfd-socket", directory / "receiver"))
    pidfd = receiver()
    container.start()
    info = pathlib.Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    assert f"Pid:\t{container.pid()}\n" in info
    os.close(pidfd)
    runtime.detached("exec", "--detach", "--pidfd-socket", directory / "receiver", container.id,
                     "/probe", "sleep")
    pidfd = receiver()
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    assert select.select([pidfd], [], [], 60)[0]
    os.close(pidfd)


@pytest.mark.deviates("runc")
def test_names_by_pattern(bundle, runtime):
    one, two = bundle.start(), bundle.start()
    other = bundle.start()
    runtime("kill", "--regex", f"^({one.id}|{two.id})$", "KILL")
    one.wait()
    two.wait()
    assert other.status() == "running"
    runtime("delete", "--regex", f"^({one.id}|{two.id})$")
    assert runtime("list", "-q").stdout.split() == [other.id]


@pytest.mark.coracle
def test_pattern_that_is_none(bundle, runtime):
    assert "regular expression" in runtime.fails("kill", "--regex", "(", "KILL")
    container = bundle.start()
    done = runtime("delete", "--regex", container.id)  # it runs: a warning, as of crun
    assert "not stopped" in done.stderr and container.status() == "running"


@pytest.mark.coracle
def test_checkpoints_do_not_exist(bundle, runtime):
    container = bundle.start()
    words = ("--image-path", "/nowhere", "--leave-running")
    assert "not supported" in runtime.fails("checkpoint", *words, container.id)
    assert "not supported" in runtime.fails("restore", "--detach", *words, "x")
    assert container.status() == "running"
    features = json.loads(runtime("features").stdout)
    assert features["annotations"]["org.opencontainers.runc.checkpoint.enabled"] == "false"


@pytest.mark.coracle
def test_places_of_the_log(runtime, directory):
    runtime.fails("state", "nosuch", before=("--log", f"file:{directory}/log"))
    assert "does not exist" in (directory / "log").read_text()
    for place in ("journald:x", "syslog:x"):
        message = runtime.fails("state", "nosuch", before=("--log", place))
        assert "only a file" in message and place in message


@pytest.mark.coracle
@pytest.mark.parametrize("level, warned", [("error", False), ("warning", True), ("debug", True)])
def test_level_of_the_log(bundle, runtime, level, warned):
    container = bundle.start()
    done = runtime("update", "--kernel-memory", "1m", container.id, before=("--log-level", level))
    assert ("--kernel-memory" in done.stderr) == warned
    assert "allowed: error warning debug" in runtime.fails("list", before=("--log-level", "x"))


@pytest.mark.coracle
def test_manager_of_the_cgroup(bundle, runtime):
    assert bundle.start().status() == "running"
    runtime("list", before=("--cgroup-manager", "cgroupfs"))
    assert "allowed: cgroupfs systemd disabled" in runtime.fails(
        "list", before=("--cgroup-manager", "magic"))


@pytest.mark.coracle
@pytest.mark.checklist(107, 108)
def test_update_of_a_container_without_rdt(bundle, runtime):
    container = bundle.start()
    assert "/linux/intelRdt" in runtime.fails("update", "--l3-cache-schema", "L3:0=f", container.id)


class Manager:
    """systemd's side of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(20)
        self.messages = []

    def take(self):
        """Up to the barrier, whose descriptor it closes."""
        while True:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 4096, 1)
            for descriptor in descriptors:
                os.close(descriptor)
            self.messages.append(data.decode().strip())
            if self.messages[-1] == "BARRIER=1":
                return self.messages


@pytest.fixture(params=["path", "abstract"])
def manager(request, directory, monkeypatch):
    name = f"{directory}/notify" if request.param == "path" else f"\0{directory}"
    made = Manager(name)
    monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
    yield made
    made.socket.close()


@contextlib.contextmanager
def running_verb(runtime, *words):
    """A verb that the test waits for; one that a failing test leaves behind is ended."""
    with subprocess.Popen(runtime.command(*words), stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as verb:
        try:
            yield verb
        finally:
            verb.kill()


NOTIFY = "datagram=/run/notify/notify.sock:STATUS=x\nREADY=1\nMAINPID=1"


@pytest.mark.deviates("crun")
@pytest.mark.parametrize("user", [0, 1000])
def test_notify_socket_of_start(bundle, runtime, manager, user):
    bundle.process["user"] = {"uid": user, "gid": user}
    container = bundle.create("env", NOTIFY, "sleep")
    with running_verb(runtime, "start", container.id) as starting:
        assert manager.take() == ["READY=1", f"MAINPID={container.pid()}", "BARRIER=1"]
        assert starting.wait(60) == 0
    assert "NOTIFY_SOCKET=/run/notify/notify.sock" in container.facts()["env"]


@pytest.mark.deviates("crun")
def test_notify_socket_of_a_program_that_says_nothing(bundle, runtime, manager):
    container = bundle.create("exit=0")
    runtime("start", container.id)
    container.wait()


@pytest.mark.deviates("crun")
def test_notify_socket_of_run(bundle, runtime, manager):
    bundle.write(NOTIFY, "sleep")
    name = bundle.new_container()
    with running_verb(runtime, "run", "--bundle", bundle.path, name) as running:
        assert manager.take() == ["READY=1", f"MAINPID={running.pid}", "BARRIER=1"]
        runtime("kill", name, "KILL")
        assert running.wait(60) == 137


@pytest.mark.deviates("crun")
def test_notify_socket_of_run_detached(bundle, runtime, manager):
    bundle.write(NOTIFY, "sleep")
    name = bundle.new_container()
    with running_verb(runtime, "run", "--detach", "--bundle", bundle.path, name) as running:
        pid = manager.take()[1]
        assert running.wait(60) == 0
    assert pid == f"MAINPID={json.loads(runtime('state', name).stdout)['pid']}"
