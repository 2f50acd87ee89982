"""Fixtures of the image suite: `coracle-image` on a store of its own."""

import json
import os
import pathlib
import subprocess

import pytest

from images.builder import Image, Layer


@pytest.fixture(scope="session", autouse=True)
def root_only():
    if os.geteuid() != 0:
        pytest.skip("unpacking layers needs root")


class ImageTool:
    """coracle-image with a data directory and a registry configuration of its own."""

    def __init__(self, program, directory):
        self.program, self.root = program, directory / "data"
        self.hosts = directory / "hosts"
        self.hosts.mkdir()

    def command(self, verb, *arguments):
        extra = ["--registry-config", self.hosts] if verb == "pull" else []
        return [self.program, "--root", self.root, verb, *extra, *arguments]

    def run(self, verb, *arguments, **options):
        return subprocess.run(self.command(verb, *arguments), check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def __call__(self, verb, *arguments, **options):
        done = self.run(verb, *arguments, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, verb, *arguments):
        return subprocess.Popen(self.command(verb, *arguments), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def fails(self, verb, *arguments):
        """The one line that it says."""
        done = self.run(verb, *arguments)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith("coracle image: ") and done.stderr.count("\n") == 1
        return done.stderr

    def list(self):
        return json.loads(self("list", "--format", "json"))

    def configure(self, registry, text):
        directory = self.hosts / registry
        directory.mkdir(exist_ok=True)
        (directory / "hosts.toml").write_text(text)
        return directory

    def content(self):
        """Every blob, layer and snapshot of the store."""
        store = self.root / "images"
        return sorted(str(path.relative_to(store))
                      for pattern in ("blobs/*/*", "l/[0-9]*", "l/tmp*", "s/*")
                      for path in store.glob(pattern))


@pytest.fixture
def tool(build_dir, tmp_path):
    program = pathlib.Path(build_dir) / "bin/coracle-image"
    if not program.exists():
        pytest.fail(f"{program} is not built")
    return ImageTool(program, tmp_path)


@pytest.fixture(scope="session")
def big(registry):
    """An image whose one layer does not compress: long enough to be interrupted."""
    layer = Layer().file("big", os.urandom(6 << 20)).file("small", "small\n")
    return registry.push("big", Image([layer.tar()], {"Cmd": ["/none"]}))
