"""Fixtures for containers of a user without privileges."""

import os
import subprocess

import pytest

from lib.user import COUNT, SUBORDINATE, UID, User
from oci.harness import Bundle, Runtime, cgroup_mount

OWN_ID = [{"containerID": 0, "hostID": UID, "size": 1}]
ALL_IDS = [*OWN_ID, {"containerID": 1, "hostID": SUBORDINATE, "size": COUNT}]


class AsSomebody(Runtime):
    """The runtime behind a command that makes the caller somebody else."""

    def __init__(self, program, directory, prefix, root=None):
        super().__init__(program, directory)
        self.prefix, self.root = prefix, root or self.root

    def without_root(self, *words, **options):
        """With the default place for states."""
        return subprocess.run([*self.prefix, self.program, *map(str, words)], text=True,
                              capture_output=True, check=False, stdin=subprocess.DEVNULL,
                              timeout=60, **options)


class UserBundle(Bundle):
    """Of the user, without anything that needs privileges."""

    def __init__(self, runtime, directory, probe, ids):
        super().__init__(runtime, directory, probe, "/none")
        self.linux["namespaces"].append({"type": "user"})
        self.linux["uidMappings"] = self.linux["gidMappings"] = ids
        User.own(self.path)

    def new_id(self):
        name = super().new_id()
        self.linux.pop("cgroupsPath")
        return name

    def close(self):
        for name in self.made:
            self.runtime("delete", "--force", name, code=None)
        left = [name for name in self.made if (self.runtime.root / name).exists()]
        # Unlike glob() it does not mind cgroups of others that vanish meanwhile.
        return left + [path for path, _, _ in os.walk(cgroup_mount())
                       if os.path.basename(path) in self.made]


@pytest.fixture
def user(directory):
    made = User(directory)
    yield made
    made.close()


@pytest.fixture
def runtime(runtime_program, directory, user):
    return AsSomebody(runtime_program, directory, user.prefix)


def bundle_of(runtime, directory, probe, ids):
    made = UserBundle(runtime, directory, probe, ids)
    yield made
    left = made.close()
    assert not left, left


@pytest.fixture
def bundle(runtime, directory, probe):
    """All subordinate ids are mapped."""
    yield from bundle_of(runtime, directory, probe, ALL_IDS)


@pytest.fixture
def alone(runtime, directory, probe):
    """Nothing but the user's own id is mapped."""
    yield from bundle_of(runtime, directory, probe, OWN_ID)


def ids_of_map(text):
    return [[int(number) for number in line.split()] for line in text.splitlines()]
