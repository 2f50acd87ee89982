"""CVE-2026-115521: the flags of every mount, seen from inside, are those of config.json; over
random combinations of options, kinds and a read-only root."""

import random
import subprocess

import pytest

from oci.harness import mount_options

FLAGS = ["ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow"]
KINDS = ["tmpfs", "bind", "rbind", "proc", "sysfs", "devpts", "mqueue", "cgroup", "file"]


@pytest.fixture
def tree(directory):
    """A host tree with a file system below."""
    path = directory / "tree"
    (path / "below").mkdir(parents=True)
    (directory / "file").touch()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path / "below"], check=True)
    yield path
    subprocess.run(["umount", path / "below"], check=True)


def describe(kind, destination, flags, tree):
    if kind in ("bind", "rbind", "file"):
        source = tree.parent / "file" if kind == "file" else tree
        return {"destination": destination, "type": "bind", "source": str(source),
                "options": ["rbind" if kind == "rbind" else "bind", *flags]}
    return {"destination": destination, "type": kind, "source": kind, "options": flags}


@pytest.mark.deviates("runc", "crun")  # neither knows nosymfollow
@pytest.mark.parametrize("seed", range(8))
def test_every_flag_is_that_of_the_config(bundle, tree, seed):
    choose = random.Random(seed)
    wanted = {}
    for number, kind in enumerate(choose.sample(KINDS, 6)):
        destination = "/proc" if kind == "proc" else f"/m{number}"
        flags = choose.sample(FLAGS, choose.randint(0, len(FLAGS)))
        if kind == "proc":
            bundle.spec["mounts"] = bundle.spec["mounts"][1:]
            flags = [flag for flag in flags if flag != "nosymfollow"]  # /proc/self is a link
            bundle.spec["mounts"].insert(0, describe(kind, destination, flags, tree))
        else:
            bundle.spec["mounts"].append(describe(kind, destination, flags, tree))
        wanted[destination] = set(flags)
    bundle.spec["root"]["readonly"] = choose.random() < 0.5
    wanted["/"] = {"ro"} if bundle.spec["root"]["readonly"] else set()
    mounts = bundle.run("mounts")["mounts"]
    own = {destination: mount_options(mounts, destination)[0] & set(FLAGS)
           for destination in wanted}
    assert own == wanted
    for destination in wanted:  # a flag that is not recursive stays where it is
        below = mount_options(mounts, f"{destination}/below")
        assert below is None or not below[0] & {"ro", "nosuid", "nodev", "noexec"}
