"""An image becomes a bundle that an OCI runtime runs without any daemon."""

import json
import pathlib
import shutil
import subprocess
import uuid

import pytest


@pytest.fixture(params=["coracle", "runc"])
def runtime(request, build_dir, tmp_path):
    program = (build_dir / "bin/coracle" if request.param == "coracle"
               else shutil.which("runc"))
    if program is None or not pathlib.Path(program).exists():
        pytest.skip(f"{request.param} is not here")

    def run(bundle):
        return subprocess.run([program, "--root", tmp_path / "state", "run", "--bundle", bundle,
                               f"bundle-{uuid.uuid4().hex[:8]}"], check=False, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True)
    return run


def mounts_below(path):
    return [line for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
            if str(path) in line]


@pytest.mark.parametrize("options", [[], ["--mount"]])
def test_the_image_decides_what_runs(tool, registry, runtime, tmp_path, options):
    tool("pull", f"{registry.address}/settings")
    bundle = tmp_path / "bundle"
    tool("bundle", *options, f"{registry.address}/settings", bundle)
    try:
        done = runtime(bundle)
        assert (done.returncode, done.stdout) == (0, "hello from app in /home/app\n"), done.stderr
    finally:
        tool("unbundle", bundle)
    assert not bundle.exists() and not mounts_below(bundle)


def test_layers_are_merged(tool, registry, tmp_path):
    tool("pull", f"{registry.address}/layered")
    tool("bundle", f"{registry.address}/layered", tmp_path / "bundle")
    stack = tmp_path / "bundle/rootfs/stack"
    assert sorted(path.name for path in stack.iterdir()) == ["changed", "hidden", "kept", "link"]
    assert (stack / "changed").read_text() == "third\n"
    assert (stack / "changed").stat().st_mode & 0o7777 == 0o4755
    assert [path.name for path in (stack / "hidden").iterdir()] == ["new"]
    assert (stack / "link").stat().st_ino == (stack / "kept").stat().st_ino
    # A copy is complete: the image may go.
    tool("rm", f"{registry.address}/layered")
    assert tool.content() == []
    assert (stack / "kept").read_text() == "second\n"


def test_a_mounted_bundle_keeps_its_layers(tool, registry, runtime, tmp_path):
    tool("pull", f"{registry.address}/layered")
    bundle = tmp_path / "bundle"
    tool("bundle", "--mount", f"{registry.address}/layered", bundle, "--", "cat", "/stack/changed")
    try:
        tool("rm", f"{registry.address}/layered")
        assert tool.list() == [] and tool.content() != []
        done = runtime(bundle)
        assert (done.returncode, done.stdout) == (0, "third\n"), done.stderr
    finally:
        tool("unbundle", bundle)
    assert tool.content() == []


def test_a_command_of_ones_own(tool, registry, runtime, tmp_path):
    tool("pull", f"{registry.address}/busybox")
    tool("bundle", f"{registry.address}/busybox", tmp_path / "bundle", "--", "sh", "-c", "exit 7")
    assert runtime(tmp_path / "bundle").returncode == 7


def test_bad_bundles_leave_nothing(tool, registry, tmp_path):
    tool("pull", f"{registry.address}/multiarch")
    bundle = tmp_path / "bundle"
    assert "not found" in tool.fails("bundle", "missing", bundle)
    assert not bundle.exists()
    bundle.mkdir()
    (bundle / "config.json").write_text("mine")
    assert "exists already" in tool.fails("bundle", f"{registry.address}/multiarch", bundle)
    assert (bundle / "config.json").read_text() == "mine"
    assert tool.content() and not list((tool.root / "images/s").iterdir())


def test_config_json(tool, registry, tmp_path):
    tool("pull", f"{registry.address}/settings")
    tool("bundle", "-t", f"{registry.address}/settings", tmp_path / "bundle")
    process = json.loads((tmp_path / "bundle/config.json").read_text())["process"]
    assert process["terminal"] is True
    assert process["user"] == {"uid": 1000, "gid": 1000, "additionalGids": [1000, 2000]}
    assert {"GREETING=hello", "EMPTY="} <= set(process["env"])
    assert len([entry for entry in process["env"] if entry.startswith("PATH=")]) == 1
