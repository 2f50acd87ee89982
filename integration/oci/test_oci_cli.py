"""The command line itself: version, help, features, spec, events, update, usage."""

import json
import os
import shutil
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
def test_systemd_is_refused_in_one_line(bundle, runtime):
    bundle.write("exit=0")
    message = runtime.fails("--systemd-cgroup", "create", "--bundle", bundle.path, "x")
    assert len(message.splitlines()) == 1 and "systemd" in message


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
