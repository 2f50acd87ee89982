"""Renames that race with the runtime (RACE_SECONDS for each class): a directory and a link out of
the container swap their names while containers start. What lies outside never changes or shows."""

import contextlib
import os
import subprocess

import pytest

from oci.harness import facts
from security.attack import SECONDS, exchanging, repeatedly

STYLES = ["absolute", "relative", "proc"]


def target_of(style, path):
    return {"absolute": str(path), "relative": "../" * 16 + str(path).lstrip("/"),
            "proc": f"/proc/self/root{path}"}[style]


class Race:
    """A volume with `x`, in turn a directory and a link to the canary, and starts against it."""

    def __init__(self, bundle, canary, directory, said):
        self.bundle, self.canary, self.said = bundle, canary, said
        self.volume = directory / "volume"
        self.volume.mkdir()
        self.counts = []
        self.mounts = None  # how many an unattacked container sees, if no mount may get lost

    def share(self):
        self.bundle.mount("/vol", type="bind", source=str(self.volume), options=["rbind"])

    def start(self, *words, **how):
        """One container; False when it was refused."""
        name = self.bundle.new_id()
        self.bundle.made[:] = [name]
        self.bundle.write(*words)
        done = subprocess.run(
            self.bundle.runtime.command("run", "--bundle", self.bundle.path, name), check=False,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **how)
        if any(secret in done.stdout + done.stderr for secret in self.canary.secrets):
            self.said.append(done.stdout + done.stderr)
        shown = facts(done.stdout)
        # The fourth field is what of a file system is mounted.
        strange = [mount for mount in shown.get("mounts", [])
                   if mount.split()[3].startswith(str(self.canary.root))]
        assert not strange, strange
        if done.returncode == 0 and self.mounts is not None:
            assert len(shown["mounts"]) == self.mounts, shown["mounts"]
        return done.returncode == 0

    def run(self, probe, place, action, inside="x", target=""):
        """Exchanges place/inside with a link for the time of one class. Unattacked it works."""
        assert action()
        for style in STYLES:
            rival = place / f"link-{style}"
            rival.symlink_to(target_of(style, self.canary.root / target))
            with exchanging(probe, (place / inside, rival)):
                count, failed = repeatedly(action, SECONDS / len(STYLES))
            self.counts.append((style, count, failed))
            if (place / inside).is_symlink():  # as it was before the next one
                os.rename(place / inside, place / "swap")
                os.rename(rival, place / inside)
            else:
                rival.unlink()
        print("starts, of them refused:", self.counts)


@pytest.fixture(params=["without-host-mounts", "with-host-mounts"])
def race(request, bundle, canary, directory, said):
    """A hook before pivot_root makes that the container process has the host's mounts in its
    namespace; without them, what lies outside can be neither mounted on nor cloned."""
    if request.param == "with-host-mounts":
        bundle.spec["hooks"] = {"prestart": [{"path": "/bin/true"}]}
    return Race(bundle, canary, directory, said)


def none_is_lost(race):
    """Every mount is made inside: one that went past the root would be missing there."""
    race.mounts = len(race.bundle.run("mounts")["mounts"])


SEE = ("mounts", "list=/vol/x", "read=/vol/x/secret", "read=/vol/x/dir/deep/file")


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_destination_of_a_mount(race, bundle, probe, directory, kind):
    """CVE-2021-30465: the volume of one container is the mount point of another."""
    (race.volume / "x/dir").mkdir(parents=True)
    (directory / "source").mkdir()
    race.share()
    if kind == "tmpfs":
        bundle.mount("/vol/x/dir", type="tmpfs", source="tmpfs")
    else:
        bundle.mount("/vol/x/dir", type="bind", source=str(directory / "source"), options=["bind"])
    none_is_lost(race)
    race.run(probe, race.volume, lambda: race.start(*SEE, "write=/vol/x/dir/made"))


def test_what_is_missing_on_the_way(race, bundle, probe, directory):
    """CVE-2024-45310: directories and files made for a mount."""
    (race.volume / "x").mkdir()
    (directory / "file").touch()
    race.share()
    bundle.mount("/vol/x/new/dir", type="tmpfs", source="tmpfs")
    bundle.mount("/vol/x/new/file", type="bind", source=str(directory / "file"), options=["bind"])

    none_is_lost(race)

    def action():
        started = race.start(*SEE)
        subprocess.run(["rm", "-rf", *race.volume.glob("*/new")], check=False,
                       stderr=subprocess.DEVNULL)
        return started
    race.run(probe, race.volume, action)


def test_masks_and_readonly_paths(race, bundle, probe):
    """CVE-2025-31133: what is covered is what was looked at."""
    (race.volume / "x/dir").mkdir(parents=True)
    (race.volume / "x/secret").touch()
    race.share()
    bundle.linux["maskedPaths"] = ["/vol/x/secret", "/vol/x/dir"]
    bundle.linux["readonlyPaths"] = ["/vol/x/etc", "/vol/x"]
    race.run(probe, race.volume, lambda: race.start(*SEE))


def test_null_device_of_a_volume(race, bundle, probe):
    """CVE-2025-31133: /dev/null of a shared /dev."""
    for name in ("pts", "shm"):
        (race.volume / name).mkdir()
    os.mknod(race.volume / "null", 0o20666, os.makedev(1, 3))
    bundle.spec["mounts"][1] = {"destination": "/dev", "type": "bind", "source": str(race.volume),
                                "options": ["bind"]}
    bundle.linux["maskedPaths"] = ["/proc/keys", "/proc/timer_list"]
    race.run(probe, race.volume, lambda: race.start("stat=/proc/keys", "read=/proc/keys", "mounts"),
             inside="null", target="secret")


def test_terminal_of_a_volume(race, bundle, probe, console_socket):
    """CVE-2025-52565: ptmx and console of a shared /dev."""
    (race.volume / "x").mkdir()
    os.mknod(race.volume / "x/ptmx", 0o20666, os.makedev(5, 2))
    (race.volume / "shm").mkdir()
    bundle.spec["mounts"][1:3] = [
        {"destination": "/dev", "type": "bind", "source": str(race.volume), "options": ["bind"]}]
    (race.volume / "pts").symlink_to("x")
    bundle.process["terminal"] = True

    def action():
        name = bundle.new_id()
        bundle.made[:] = [name]
        bundle.write("exit=0")
        done = bundle.runtime("run", "--detach", "--console-socket", console_socket.path,
                              "--bundle", bundle.path, name, code=None)
        bundle.runtime("delete", "--force", name, code=None)
        with contextlib.suppress(BlockingIOError):  # nobody else takes them, and they would pile up
            console_socket.listener.setblocking(False)
            console_socket.listener.accept()[0].close()
        return done.returncode == 0
    for style in STYLES:  # all are refused: there is no devpts
        rival = race.volume / f"link-{style}"
        rival.symlink_to(target_of(style, race.canary.root))
        with exchanging(probe, (race.volume / "x", rival)):
            repeatedly(lambda: action() or True, SECONDS / len(STYLES))
        if (race.volume / "x").is_symlink():
            os.rename(race.volume / "x", race.volume / "swap")
            os.rename(rival, race.volume / "x")


def test_proc_and_sysctl(race, bundle, probe):
    """CVE-2025-52881, CVE-2019-19921: settings go to a procfs that no image can reach."""
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "1234"}
    race.run(probe, bundle.rootfs, lambda: race.start("read=/proc/sys/kernel/shmmni"),
             inside="proc")


def test_dev_of_a_shared_root(race, bundle, probe):
    """CVE-2026-41579, CVE-2026-88264: devices, links and console in the image's own /dev."""
    bundle.spec["mounts"] = bundle.spec["mounts"][:1]
    bundle.linux["devices"] = [{"type": "c", "path": "/dev/victim", "major": 1, "minor": 3}]
    race.run(probe, bundle.rootfs, lambda: race.start("list=/dev"), inside="dev")


def test_working_directory(race, bundle, probe):
    """CVE-2026-55686."""
    (race.volume / "x").mkdir()
    race.share()
    bundle.process["cwd"] = "/vol/x/made"

    def action():
        started = race.start("cwd", "list=..", "read=../secret")
        subprocess.run(["rm", "-rf", *race.volume.glob("*/made")], check=False,
                       stderr=subprocess.DEVNULL)
        return started
    race.run(probe, race.volume, action)


def test_passwd(race, bundle, probe):
    """CVE-2024-9676: HOME is looked up inside."""
    race.run(probe, bundle.rootfs, lambda: race.start("env"), inside="etc", target="etc")


def test_copy_up(race, bundle, probe):
    """What a tmpfs begins with is what the image had there."""
    (race.volume / "x/dir/deep").mkdir(parents=True)
    race.share()
    bundle.mount("/vol/x/dir", type="tmpfs", source="tmpfs", options=["tmpcopyup"])
    none_is_lost(race)
    race.run(probe, race.volume, lambda: race.start(*SEE, "list=/vol/x/dir/deep"))


def test_readonly_root(race, bundle, probe):
    """CVE-2026-115521: what is made read-only is what was mounted, and no other mount."""
    (bundle.rootfs / "data/x").mkdir()
    bundle.spec["root"]["readonly"] = True
    bundle.mount("/tmp", type="tmpfs", source="tmpfs")
    bundle.mount("/data/x", type="tmpfs", source="sealed", options=["ro"])

    def action():
        name = bundle.new_id()
        bundle.made[:] = [name]
        bundle.write("write=/made", "write=/data/made", "mounts")
        done = bundle.runtime("run", "--bundle", bundle.path, name, code=None)
        if done.returncode == 0:
            seen = facts(done.stdout)
            assert {seen["write=/made"], seen["write=/data/made"]} == {"EROFS"}
            sealed = [mount.split()[5] for mount in seen["mounts"] if mount.split()[-2] == "sealed"]
            assert len(sealed) == 1 and "ro" in sealed[0].split(","), seen["mounts"]
        return done.returncode == 0
    race.run(probe, bundle.rootfs / "data", action, target="/tmp")


def test_exec_into_a_moving_root(race, bundle, probe, runtime):
    """exec looks up program, working directory and passwd while they move."""
    (race.volume / "x").mkdir()
    race.share()
    container = bundle.start()

    def action():
        done = runtime("exec", "--cwd", "/vol/x", container.id, "/probe", "cwd", "list=.",
                       "read=secret", code=None)
        race.said.append(done.stdout) if "canary" in done.stdout else None
        return done.returncode == 0
    race.run(probe, race.volume, action)
