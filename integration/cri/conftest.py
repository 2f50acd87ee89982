"""Fixtures of the CRI suite: one daemon for the tests that do not disturb it, and fresh ones."""

import itertools

import pytest

from cri.client import generate
from cri.crictl import MISSING, PROGRAM, Crictl
from cri.daemons import make_daemon
from cri.pods import Pod, image
from images.builder import Image
from images.catalog import PATH, busybox_layer
from images.registry import Registry
from lib.space import Space

# containerd wants an image for its pause process.
PAUSE = Image([busybox_layer()], {"Env": [PATH], "Entrypoint": ["/bin/sleep", "2147483647"]})


class Stage:
    """A Space with a registry inside, where daemons are started."""

    def __init__(self, registry, build_dir, directory):
        self.space = Space()
        self.build_dir, self.directory = build_dir, directory
        self._numbers = itertools.count()
        self.daemons = []
        self.registry = Registry(registry.directory, command_prefix=self.space.prefix)

    def daemon(self, started=True):
        number = next(self._numbers)
        directory = self.directory / f"d{number}"
        daemon = make_daemon(directory, self.space, self.registry, self.build_dir,
                             subnet=f"10.{88 + number}.0.0/16")
        self.daemons.append(daemon)
        return daemon.start() if started else daemon

    def close(self):
        for daemon in self.daemons:
            if daemon.alive:
                daemon.remove_everything()
                daemon.stop()
        self.registry.close()
        self.space.close()


def _stage(registry, build_dir, tmp_path_factory):
    generate(build_dir / "test-python")
    registry.push("pause", PAUSE)
    return Stage(registry, build_dir, tmp_path_factory.mktemp("cri"))


@pytest.fixture(scope="session")
def shared_stage(registry, build_dir, tmp_path_factory):
    stage = _stage(registry, build_dir, tmp_path_factory)
    yield stage
    stage.close()


@pytest.fixture(scope="session")
def shared_daemon(shared_stage):
    daemon = shared_stage.daemon()
    for name in ("busybox", "settings"):
        daemon.client.PullImage(image={"image": image(name)})
    return daemon


@pytest.fixture
def daemon(shared_daemon):
    """A daemon that many tests share; each leaves it without pods."""
    assert shared_daemon.alive, shared_daemon.log.read_text()[-4000:]
    yield shared_daemon
    shared_daemon.remove_everything()


@pytest.fixture
def pod(daemon):
    return Pod(daemon)


@pytest.fixture
def stage(registry, build_dir, tmp_path_factory):
    """Namespaces of its own for a test that kills daemons or counts what is left."""
    stage = _stage(registry, build_dir, tmp_path_factory)
    yield stage
    stage.close()


@pytest.fixture
def fresh_daemon(stage):
    daemon = stage.daemon()
    daemon.client.PullImage(image={"image": image()})
    return daemon


@pytest.fixture
def crictl(daemon):
    if PROGRAM is None:
        pytest.skip(MISSING)
    return Crictl(daemon.socket)
