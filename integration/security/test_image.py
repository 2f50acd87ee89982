"""An image that lies: what should be a directory, a device or a file is a link that leads out. None
of it is followed, created, opened or changed outside of the root file system."""

import os
import pathlib
import shutil

import pytest

from oci.harness import facts, mount_options, read_all

STYLES = ["absolute", "relative", "proc-self-root", "proc-1-root"]
PROC = {"destination": "/proc", "type": "proc", "source": "proc"}


def link(path, target, style="absolute"):
    """Makes `path` of the image a link to the host's `target`."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif path.exists() or path.is_symlink():
        path.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to({"absolute": f"{target}", "relative": "../" * 16 + f"{target}".lstrip("/"),
                     "proc-self-root": f"/proc/self/root{target}",
                     "proc-1-root": f"/proc/1/root{target}"}[style])


def only_proc(bundle):
    bundle.spec["mounts"] = [PROC]


@pytest.mark.vulnerable(runc="1.1.1 1.1.4 1.1.5 1.1.11 1.3.2", crun="1.8.1")
@pytest.mark.parametrize("target", [".", "empty"])
@pytest.mark.parametrize("style", STYLES)
def test_dev_is_a_link(bundle, canary, attempt, style, target):
    """CVE-2026-41579, CVE-2026-47766: devices, links and the removal of ptmx."""
    only_proc(bundle)
    link(bundle.rootfs / "dev", canary.root / target, style)
    bundle.linux["devices"] = [{"type": "c", "path": "/dev/victim", "major": 1, "minor": 3}]
    attempt("list=/dev")


@pytest.mark.vulnerable(runc="1.1.1 1.1.4 1.1.5 1.1.11 1.3.2")
def test_dev_is_a_link_below_a_mount(bundle, canary, attempt):
    link(bundle.rootfs / "dev", canary.root)
    attempt("list=/dev")


@pytest.mark.vulnerable(crun="1.8.1")
@pytest.mark.parametrize("name", ["console", "new"])
@pytest.mark.parametrize("style", STYLES)
def test_console_is_a_link(bundle, canary, runtime, console_socket, name, style):
    """CVE-2026-88264: the console's file, made through a link."""
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["destination"] != "/dev"]
    (bundle.rootfs / "dev/pts").mkdir()
    link(bundle.rootfs / "dev/console", canary.root / name, style)
    bundle.process["terminal"] = True
    bundle.write("stat=/dev/console")
    runtime("run", "--detach", "--console-socket", console_socket.path, "--bundle", bundle.path,
            bundle.new_container(), code=None)


@pytest.mark.vulnerable(runc="1.1.5 1.1.11 1.3.2", crun="1.8.1")
def test_null_is_a_file_of_the_image(bundle, attempt):
    """CVE-2026-88265: a standard stream exchanged for what /dev/null is in the image."""
    only_proc(bundle)
    victim = bundle.rootfs / "victim"
    victim.write_text("untouched")
    before = victim.stat()
    link(bundle.rootfs / "dev/null", "/victim")
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    code, seen, _ = attempt("print=output", "pid")
    after = victim.stat()
    assert victim.read_text() == "untouched"
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)
    assert code != 0 or seen["pid"] == 1


def hostile_null(kind, dev):
    null = dev / "null"
    if kind == "sysctl":
        null.symlink_to("/proc/sys/kernel/hostname")
    elif kind == "host file":
        null.symlink_to(dev.parent / "canary/secret")
    elif kind == "file":
        null.write_text("no device")
    elif kind == "fifo":
        os.mkfifo(null)
    elif kind == "zero":
        os.mknod(null, 0o20666, os.makedev(1, 5))


@pytest.mark.vulnerable(runc="1.1.5 1.1.11 1.3.2", crun="1.8.1")
@pytest.mark.parametrize("kind", ["sysctl", "host file", "file", "fifo", "zero", "absent"])
def test_null_of_a_volume_masks_nothing(bundle, directory, attempt, runtime, kind):
    """CVE-2025-31133: paths are masked by the host's null device, whatever the container's is."""
    if runtime.name == "runc" and kind in ("fifo", "zero"):
        pytest.skip("only what is mounted there decides")
    dev = directory / "dev"
    for name in ("pts", "shm"):
        (dev / name).mkdir(parents=True)
    hostile_null(kind, dev)
    bundle.spec["mounts"][1] = {"destination": "/dev", "type": "bind", "source": str(dev),
                                "options": ["bind"]}
    bundle.linux["maskedPaths"] = ["/proc/keys", "/proc/timer_list", "/proc/scsi"]
    code, seen, _ = attempt("stat=/proc/keys", "read=/proc/keys", "stat=/proc/timer_list")
    if code == 0:
        for path in ("/proc/keys", "/proc/timer_list"):
            node = seen[f"stat={path}"]
            assert (node["type"], node["major"], node["minor"]) == ("c", 1, 3)
        assert seen["read=/proc/keys"] == ""


@pytest.mark.parametrize("kind", ["link", "sysctl", "file", "null", "name"])
def test_pts_of_a_volume(bundle, directory, canary, runtime, console_socket, kind):
    """CVE-2025-52565: a terminal comes from a devpts, and its console is that terminal, whatever
    has the terminal's name."""
    pts = directory / "pts"
    pts.mkdir()
    if kind == "name":
        bundle.mount("/real", type="devpts", source="devpts", options=["newinstance"])
    for name in ("ptmx", "0", "1", "2"):
        if kind == "name" and name == "ptmx":
            (pts / name).symlink_to("/real/ptmx")
        elif kind in ("file", "name"):
            (pts / name).write_text("no terminal")
        elif kind == "null":
            os.mknod(pts / name, 0o20666, os.makedev(1, 3))
        else:
            (pts / name).symlink_to("/proc/sys/kernel/hostname" if kind == "sysctl"
                                    else canary.root / "secret")
    bundle.spec["mounts"][2] = {"destination": "/dev/pts", "type": "bind", "source": str(pts),
                                "options": ["bind"]}
    bundle.process["terminal"] = True
    bundle.write("stat=/dev/console", "write=/dev/console,escaped")
    done = runtime("run", "--detach", "--console-socket", console_socket.path, "--bundle",
                   bundle.path, bundle.new_container(), code=None)
    if done.returncode == 0:  # with a terminal of the runtime's own
        node = facts(read_all(console_socket.master()).replace("\r", ""))["stat=/dev/console"]
        assert node["type"] == "c" and node["major"] == 136


@pytest.mark.vulnerable(runc="1.1.5 1.1.11 1.3.2")
@pytest.mark.parametrize("kind", ["file", "link"])
def test_settings_go_to_no_procfs_of_the_image(bundle, canary, attempt, runtime, kind):
    """CVE-2025-52881: what the image has at /proc is not where a sysctl is written."""
    bundle.spec["mounts"][0] = PROC | {"destination": "/real"}
    setting = bundle.rootfs / "proc/sys/net/ipv4/ip_forward"
    setting.parent.mkdir(parents=True)
    setting.write_text("0")
    if kind == "link":
        link(setting, canary.root / "victim")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    code, seen, text = attempt("read=/real/sys/net/ipv4/ip_forward")
    assert kind == "link" or setting.read_text() == "0"
    if code == 0:
        assert seen["read=/real/sys/net/ipv4/ip_forward"] == "1\n"
    assert code == 0 or runtime.name != "coracle", text


@pytest.mark.vulnerable(runc="1.1.1 1.1.4")
@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("target", ["/data", "/data/../tmp", "canary"])
def test_kernel_file_system_on_a_link(bundle, canary, name, target):
    """CVE-2019-19921, CVE-2023-27561, CVE-2025-54867."""
    link(bundle.rootfs / name, canary.root / "empty" if target == "canary" else target)
    assert f"/{name}" in bundle.refused()


@pytest.mark.vulnerable(runc="1.1.5 1.1.11", crun="1.8.1")
@pytest.mark.parametrize("destination", [
    "/proc", "/proc/self/attr", "/proc/self", "/proc/sys", "/proc/../proc", "/var/run/../../proc",
    "/x", "/x/self", "/x/sys/kernel", "/proc/thread-self/attr/exec", "/proc/sys/kernel/hostname"])
@pytest.mark.parametrize("kind", ["bind", "tmpfs"])
def test_nothing_is_mounted_over_proc(bundle, directory, destination, kind):
    """CVE-2019-16884, CVE-2019-19921: else labels would be written to a file of the attacker."""
    (bundle.rootfs / "x").symlink_to("/proc")
    (directory / "fake").mkdir()
    (directory / "file").touch()
    source = directory / ("file" if destination.endswith(("exec", "hostname")) else "fake")
    if kind == "bind":
        bundle.mount(destination, type="bind", source=str(source), options=["bind"])
    elif source.is_dir():
        bundle.mount(destination, type="tmpfs", source="tmpfs")
    else:
        pytest.skip("a tmpfs is mounted on directories")
    bundle.refused()


@pytest.mark.parametrize("name", ["cpuinfo", "meminfo", "stat", "uptime", "loadavg", "diskstats",
                                  "swaps"])
def test_what_lxcfs_mounts_in_proc(bundle, directory, name):
    (directory / "fake").write_text("from lxcfs")
    bundle.mount(f"/proc/{name}", type="bind", source=str(directory / "fake"), options=["bind"])
    assert bundle.run(f"read=/proc/{name}")[f"read=/proc/{name}"] == "from lxcfs"


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", ["tmpfs", "directory", "file", "new", "copy-up", "cgroup"])
def test_destination_is_a_link(bundle, canary, directory, attempt, kind, style):
    """CVE-2019-18837, CVE-2021-30465, CVE-2024-45310: the last component of a destination, and what
    is missing below it."""
    (directory / "source").mkdir()
    (directory / "file").touch()
    target = {"file": "secret", "new": "empty"}.get(kind, "dir")
    link(bundle.rootfs / "x", canary.root / target, style)
    destination = "/x/new/below" if kind == "new" else "/x"
    if kind in ("directory", "new", "file"):
        source = directory / ("file" if kind == "file" else "source")
        bundle.mount(destination, type="bind", source=str(source), options=["bind"])
    elif kind == "cgroup":
        bundle.mount(destination, type="cgroup", source="cgroup")
    else:
        bundle.mount(destination, type="tmpfs", source="tmpfs",
                     options=["tmpcopyup"] if kind == "copy-up" else [])
    attempt("list=/x", "read=/x/deep/file", "read=/x", "write=/x/made")


def test_destination_is_the_root(bundle, attempt):
    """A link to "/" puts a file system above the root: what lies below stays the container's."""
    (bundle.rootfs / "x").symlink_to("/")
    bundle.mount("/x", type="tmpfs", source="tmpfs")
    code, seen, _ = attempt("mounts", "list=/", "stat=/usr/bin/env")
    if code == 0:
        assert seen["stat=/usr/bin/env"] == "ENOENT"
        assert not [m for m in seen["mounts"] if m.split()[3] == "/" and m.split()[4] == "/"
                    and " tmpfs " not in m]


@pytest.mark.parametrize("style", STYLES)
def test_working_directory_is_a_link(bundle, canary, attempt, style):
    """CVE-2026-55686: a missing working directory is made inside."""
    link(bundle.rootfs / "work", canary.root / "empty", style)
    bundle.process["cwd"] = "/work/made/for/you"
    attempt("cwd", "write=file")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ["dir", "secret"])
def test_masked_and_readonly_paths_are_links(bundle, canary, attempt, name, style):
    link(bundle.rootfs / "masked", canary.root / name, style)
    link(bundle.rootfs / "readonly", canary.root / name, style)
    bundle.linux["readonlyPaths"] = ["/readonly"]
    attempt("list=/readonly", "read=/readonly")
    bundle.linux["maskedPaths"] = ["/masked"]
    attempt("list=/masked", "read=/masked")


@pytest.mark.vulnerable(runc="1.1.1 1.1.4 1.1.11 1.3.2", crun="1.8.1")
def test_device_is_a_link(bundle, canary, attempt):
    """Neither owner nor mode of what a link leads to."""
    only_proc(bundle)
    link(bundle.rootfs / "dev/victim", canary.root / "victim")
    bundle.linux["devices"] = [{"type": "c", "path": "/dev/victim", "major": 1, "minor": 3,
                                "fileMode": 0o777, "uid": 1000, "gid": 1000}]
    assert attempt("pid")[0] != 0


def make_passwd(kind, path, canary):
    path.unlink()
    if kind == "endless":
        path.symlink_to("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        os.mknod(path, 0o20666, os.makedev(1, 5))
    elif kind == "huge":
        path.touch()
        os.truncate(path, 1 << 30)
    elif kind == "long":
        path.write_text("x" * (1 << 20) + ":x:0:0::/wrong:\n")
    elif kind == "directory":
        path.mkdir()
    elif kind == "number":
        path.write_text("0:x:7:7:a name of digits:/digits:\n0:x:0:0:root:/right:\n")
    elif kind == "lines":
        path.write_text("root:x:0:0::/injected\\nHOME=/x:\nroot:x:0:0\n\n:::\n")
    else:
        link(path, canary.root / "etc/passwd", kind)


@pytest.mark.vulnerable(runc="1.1.5 1.1.11 1.3.2", crun="1.8.1")
@pytest.mark.parametrize("kind", ["endless", "fifo", "device", "huge", "long", "directory",
                                  "number", "lines", *STYLES])
def test_passwd_of_the_image(bundle, canary, runtime, kind):
    """CVE-2024-9676, CVE-2026-47262: HOME is looked up in whatever an image has there."""
    make_passwd(kind, bundle.rootfs / "etc/passwd", canary)
    home = {"number": "HOME=/right", "lines": "HOME=/injected\\nHOME=/x"}.get(kind, "HOME=/")
    container = bundle.start("env", "sleep")
    for environment in (container.wait_facts("env")["env"], container.exec("env")["env"]):
        found = [entry for entry in environment if entry.startswith("HOME=")]
        assert found == [home] or runtime.name != "coracle" and len(found) == 1


def test_readonly_root_does_not_trust_proc_of_the_image(bundle, directory, runtime, attempt):
    """CVE-2026-115521: what is made read-only is what was mounted. The name of a descriptor in this
    /proc leads to another mount."""
    fake = directory / "proc"
    for name in ("self/fd", "thread-self/fd"):
        (fake / name).mkdir(parents=True)
        for number in range(3, 40):
            (fake / f"{name}/{number}").symlink_to("/dev")
    shutil.copytree(fake, bundle.rootfs / "proc", dirs_exist_ok=True, symlinks=True)
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["destination"] != "/proc"]
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=["ro", "nodev"])
    bundle.mount("/tmp", type="bind", source=str(fake), options=["bind", "ro"])
    bundle.spec["root"]["readonly"] = True
    code, seen, text = attempt("write=/file", "write=/data/file", "write=/tmp/file",
                               "write=/proc/file", "write=/dev/file")
    if code == 0:
        assert seen["write=/dev/file"] == "0"
        assert {seen[f"write={path}/file"] for path in ("", "/data", "/tmp", "/proc")} == {"EROFS"}
    assert code == 0 or runtime.name != "coracle", text


def test_generated_files_go_to_no_image(bundle, directory, canary, attempt):
    """CVE-2024-5154: /etc of an image as a link, with the files that every caller binds there."""
    link(bundle.rootfs / "etc", canary.root)
    (directory / "made").write_text("generated")
    for name in ("hosts", "resolv.conf", "hostname", "secret"):
        bundle.mount(f"/etc/{name}", type="bind", source=str(directory / "made"), options=["bind"])
    attempt("read=/etc/hosts", "read=/etc/secret", "list=/etc")


def test_a_bundle_of_the_host_is_left_as_it_was(bundle, said):
    """The control: what an ordinary container does to its image, this suite sees."""
    before = sorted(path.name for path in bundle.rootfs.iterdir())
    seen = bundle.run("mounts", "list=/")
    said.append(str(seen))
    assert mount_options(seen["mounts"], "/proc")[1] == "proc"
    assert sorted(path.name for path in pathlib.Path(bundle.rootfs).iterdir()) == before
