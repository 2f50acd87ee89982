"""config.md#mounts, and what config-linux.md says about the file system: devices, masked and
read-only paths, propagation, sysctl."""

import os
import subprocess

import pytest

from oci.harness import mount_options

def options_at(bundle, destination):
    return mount_options(bundle.run("mounts")["mounts"], destination)


@pytest.mark.parametrize("option", [
    *[pytest.param(word, marks=pytest.mark.checklist(19))
      for word in ("ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime")],
    pytest.param("nosymfollow", marks=[pytest.mark.deviates("crun"), pytest.mark.checklist(24)])])
@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_flag(bundle, directory, option, kind):
    if kind == "tmpfs":
        bundle.mount("/data", type="tmpfs", source="tmpfs", options=[option])
    else:
        bundle.mount("/data", type="none", source=str(bundle.path), options=["bind", option])
    assert option in options_at(bundle, "/data")[0]


@pytest.mark.checklist(19)
@pytest.mark.parametrize("options, absent", [
    (["nosuid", "suid"], "nosuid"), (["nodev", "dev"], "nodev"), (["noexec", "exec"], "noexec"),
    (["ro", "rw"], "ro"), (["noatime", "atime"], "noatime"),
    (["nodiratime", "diratime"], "nodiratime")])
def test_later_option_wins(bundle, options, absent):
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=options)
    assert absent not in options_at(bundle, "/data")[0]


WORDS = {19: "async defaults dirsync sync nostrictatime strictatime norelatime relatime suid dev "
             "exec atime diratime rw",
         20: "silent loud", 21: "iversion noiversion", 22: "lazytime nolazytime",
         23: "mand nomand", 24: "symfollow nosymfollow",
         25: "rrw rsuid rdev rexec rdiratime rrelatime rnorelatime ratime rstrictatime "
             "rnostrictatime",
         26: "rsymfollow rnosymfollow"}


@pytest.mark.parametrize("option", [
    pytest.param(word, marks=pytest.mark.checklist(row))
    for row, words in WORDS.items() for word in words.split()])
def test_every_word_of_the_specification_is_known(bundle, option):
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=[option])
    _, kind, of_the_file_system, _ = options_at(bundle, "/data")
    assert kind == "tmpfs"
    assert option in of_the_file_system or option not in ("dirsync", "sync", "lazytime")


@pytest.mark.checklist(33)
@pytest.mark.parametrize("option", ["copy-symlink", "src-nofollow", "dest-nofollow"])
def test_word_of_crun_alone(bundle, option):
    """Not known here, and so not silently without effect."""
    bundle.mount("/data", type="bind", source=str(bundle.path), options=["bind", option])
    assert option in bundle.refused()


@pytest.mark.parametrize("option, flag", [
    pytest.param(f"r{word}", word,
                 marks=pytest.mark.checklist(26 if word == "nosymfollow" else 25))
    for word in ("ro", "nosuid", "nodev", "noexec", "noatime", "nodiratime", "nosymfollow")])
def test_recursive_flag(bundle, directory, option, flag):
    tree = directory / "tree"
    (tree / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tree / "below"], check=True)
    try:
        bundle.mount("/data", type="none", source=str(tree), options=["rbind", option])
        mounts = bundle.run("mounts")["mounts"]
        assert flag in mount_options(mounts, "/data")[0]
        assert flag in mount_options(mounts, "/data/below")[0]
    finally:
        subprocess.run(["umount", tree / "below"], check=True)


@pytest.mark.checklist(17, 19)
def test_bind_is_not_recursive_and_rbind_is(bundle, directory):
    tree = directory / "tree"
    (tree / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tree / "below"], check=True)
    try:
        (tree / "below/file").touch()
        bundle.mount("/data", type="bind", source=str(tree), options=["bind"])
        bundle.mount("/tmp", type="bind", source=str(tree), options=["rbind"])
        seen = bundle.run("list=/data/below", "list=/tmp/below")
        assert seen == {"list=/data/below": [], "list=/tmp/below": ["file"]}
    finally:
        subprocess.run(["umount", tree / "below"], check=True)


@pytest.mark.checklist(18)
def test_options_of_the_file_system(bundle):
    bundle.mount("/data", type="tmpfs", source="tmpfs",
                 options=["size=1m", "mode=0710", "uid=5", "nr_inodes=77"])
    seen = bundle.run("mounts", "stat=/data", "statvfs=/data")
    assert seen["stat=/data"]["mode"] == 0o710 and seen["stat=/data"]["uid"] == 5
    assert seen["statvfs=/data"]["bytes"] == 1 << 20
    assert "nr_inodes=77" in mount_options(seen["mounts"], "/data")[2]


@pytest.mark.checklist(18, 131)
def test_unknown_file_system_and_unknown_option(bundle):
    bundle.mount("/data", type="nosuchfs", source="x")
    bundle.refused()
    bundle.spec["mounts"][-1] = {"destination": "/data", "type": "tmpfs", "source": "x",
                                 "options": ["nosuchoption=1"]}
    message = bundle.refused()
    assert "data" in message or "/mounts/5" in message


@pytest.mark.deviates("runc")  # options of version 1 are refused
def test_cgroup_is_version_2_whatever_its_options(bundle):
    bundle.mount("/tmp", type="cgroup", source="cgroup", options=["name=" + "x" * 300])
    assert options_at(bundle, "/tmp")[1] == "cgroup2"


@pytest.mark.checklist(12)
def test_order_is_that_of_mountinfo(bundle, directory):
    """Which the kernel sorts by age: who reads it sees what was made first."""
    (directory / "file").touch()
    expected = ["/a", "/b", "/c", "/d"]
    bundle.mount("/a", type="none", source=str(directory), options=["bind"])
    bundle.mount("/b", type="tmpfs", source="tmpfs", options=["mode=755"])
    bundle.mount("/c", type="none", source=str(directory / "file"), options=["bind"])
    bundle.mount("/d", type="tmpfs", source="tmpfs", options=["mode=755"])
    places = [line.split()[4] for line in bundle.run("mounts")["mounts"]]
    assert [place for place in places if place in expected] == expected


@pytest.mark.checklist(12)
def test_order_counts(bundle, directory):
    (directory / "first").mkdir()
    (directory / "first/from-first").touch()
    bundle.mount("/data", type="tmpfs", source="tmpfs")
    bundle.mount("/data/inner", type="bind", source=str(directory / "first"), options=["bind"])
    assert bundle.run("list=/data", "list=/data/inner") == {
        "list=/data": ["inner"], "list=/data/inner": ["from-first"]}


@pytest.mark.checklist(15)
def test_destination_is_made(bundle, directory):
    (directory / "file").write_text("content")
    bundle.mount("/made/dir", type="tmpfs", source="tmpfs")
    bundle.mount("/made/also/file", type="bind", source=str(directory / "file"), options=["bind"])
    seen = bundle.run("stat=/made/dir", "read=/made/also/file")
    assert seen["stat=/made/dir"]["type"] == "d" and seen["read=/made/also/file"] == "content"


@pytest.mark.checklist(13, 16)
def test_relative_destination_and_source(bundle):
    (bundle.path / "beside").mkdir()
    (bundle.path / "beside/file").touch()
    bundle.mount("data", type="bind", source="beside", options=["bind"])
    assert bundle.run("list=/data")["list=/data"] == ["file"]


@pytest.mark.parametrize("there", [
    pytest.param(True, marks=pytest.mark.checklist(14)), False])
def test_destination_through_a_link_stays_inside(bundle, directory, there):
    outside = directory / "outside"
    outside.mkdir()
    if there:
        (bundle.rootfs / str(outside).lstrip("/")).mkdir(parents=True)
    os.symlink(str(outside), bundle.rootfs / "link")
    os.symlink("../../../../../../data", bundle.rootfs / "up")
    bundle.mount("/link", type="tmpfs", source="tmpfs", options=["mode=0700"])
    bundle.mount("/up", type="tmpfs", source="tmpfs", options=["mode=0711"])
    seen = bundle.run(f"stat={outside}", "stat=/data")
    assert seen[f"stat={outside}"]["mode"] == 0o700 and seen["stat=/data"]["mode"] == 0o711
    assert not os.listdir(outside)


@pytest.mark.checklist(131, 136)
def test_missing_bind_source(bundle):
    bundle.mount("/data", type="bind", source="/nonexistent/source", options=["bind"])
    assert "/nonexistent/source" in bundle.refused()


@pytest.mark.checklist(27)
def test_tmpcopyup(bundle):
    (bundle.rootfs / "data/shipped").write_text("from the image")
    (bundle.rootfs / "data/shipped").chmod(0o640)
    bundle.mount("/data", type="tmpfs", source="tmpfs", options=["tmpcopyup"])
    seen = bundle.run("read=/data/shipped", "stat=/data/shipped", "write=/data/new")
    assert seen["read=/data/shipped"] == "from the image"
    assert seen["stat=/data/shipped"]["mode"] == 0o640 and seen["write=/data/new"] == "0"
    assert not (bundle.rootfs / "data/new").exists()


@pytest.mark.checklist(19)
@pytest.mark.parametrize("option, shown", [
    ("rprivate", ""), ("rslave", "master:"), ("rshared", "shared:"), ("private", ""),
    ("slave", "master:"), ("shared", "shared:"), ("unbindable", "unbindable"),
    ("runbindable", "unbindable")])
def test_propagation(bundle, directory, option, shown):
    source = directory / "source"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source], check=True)
    subprocess.run(["mount", "--make-shared", source], check=True)
    try:
        bundle.linux["rootfsPropagation"] = "slave" if "slave" in option else "shared" \
            if option.endswith("shared") else "private"
        bundle.mount("/data", type="bind", source=str(source), options=["rbind", option])
        optional = options_at(bundle, "/data")[3]
        assert any(one.startswith(shown) for one in optional) if shown else not optional, optional
    finally:
        subprocess.run(["umount", source], check=True)


@pytest.mark.checklist(121)
@pytest.mark.parametrize("root, reaches_host", [("", False), ("rslave", False), ("rshared", True)])
def test_mount_below_a_shared_bind(bundle, directory, root, reaches_host):
    """Whether it reaches the host is the root's word, whatever the bind says of itself."""
    source = directory / "source"
    source.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source], check=True)
    try:
        subprocess.run(["mount", "--make-shared", source], check=True)
        (source / "inside").mkdir()
        bundle.linux["rootfsPropagation"] = root
        bundle.process["capabilities"] = {
            kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
        bundle.mount("/data", type="bind", source=str(source), options=["rbind", "rshared"])
        assert bundle.run("mount=/data/inside")["mount=/data/inside"] == "0"
        assert os.path.ismount(source / "inside") == reaches_host
    finally:
        subprocess.run(["umount", "-R", source], check=True)


@pytest.mark.checklist(121)
@pytest.mark.parametrize("word, shown", [("private", ""), ("slave", "master:"),
                                         ("shared", "shared:"), ("unbindable", "unbindable")])
def test_rootfs_propagation(bundle, word, shown):
    # Only what is shared has a peer to be a slave of.
    subprocess.run(["mount", "--bind", bundle.rootfs, bundle.rootfs], check=True)
    try:
        subprocess.run(["mount", "--make-shared", bundle.rootfs], check=True)
        bundle.linux["rootfsPropagation"] = word
        optional = options_at(bundle, "/")[3]
        assert any(one.startswith(shown) for one in optional) if shown else not optional, optional
    finally:
        subprocess.run(["umount", bundle.rootfs], check=True)


@pytest.mark.checklist(28)
def test_idmapped_bind(bundle, directory):
    source = directory / "source"
    source.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 1000, 1000)
    mapping = [{"containerID": 1000, "hostID": 5000, "size": 1}]
    bundle.mount("/data", type="bind", source=str(source), options=["bind", "idmap"],
                 uidMappings=mapping, gidMappings=mapping)
    file = bundle.run("stat=/data/file")["stat=/data/file"]
    assert (file["uid"], file["gid"]) == (5000, 5000)


@pytest.mark.checklist(29)
def test_recursive_idmap(bundle, directory):
    tree = directory / "tree"
    (tree / "below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tree / "below"], check=True)
    try:
        os.chown(tree / "below", 1000, 1000)
        mapping = [{"containerID": 1000, "hostID": 5000, "size": 1}]
        for option, owner in (("idmap", 1000), ("ridmap", 5000)):
            bundle.mount(f"/{option}", type="bind", source=str(tree), options=["rbind", option],
                         uidMappings=mapping, gidMappings=mapping)
            assert bundle.run(f"stat=/{option}/below")[f"stat=/{option}/below"]["uid"] == owner
    finally:
        subprocess.run(["umount", tree / "below"], check=True)


@pytest.mark.checklist(30)
def test_idmapped_bind_with_the_mapping_of_the_container(bundle, directory):
    source = directory / "source"
    source.mkdir()
    bundle.with_user_namespace()
    bundle.mount("/data", type="bind", source=str(source), options=["bind", "idmap"])
    seen = bundle.run("stat=/data", "write=/data/made")
    assert seen["stat=/data"]["uid"] == 0 and seen["write=/data/made"] == "0"
    assert (source / "made").stat().st_uid == 0


@pytest.mark.checklist(30)
def test_idmap_without_any_mapping(bundle, directory):
    bundle.mount("/data", type="bind", source=str(directory), options=["bind", "idmap"])
    bundle.refused()


@pytest.mark.checklist(32)
@pytest.mark.parametrize("cgroupns", [
    True, pytest.param(False, marks=pytest.mark.deviates("runc", "crun"))])
def test_cgroup_file_system(bundle, cgroupns):
    if not cgroupns:
        bundle.without_namespace("cgroup")
    bundle.mount("/sys/fs/cgroup", type="cgroup", source="cgroup",
                 options=["nosuid", "noexec", "nodev", "ro"])
    seen = bundle.run("mounts", "read=/sys/fs/cgroup/cgroup.procs", "write=/sys/fs/cgroup/x")
    options, kind, _, _ = mount_options(seen["mounts"], "/sys/fs/cgroup")
    assert kind == "cgroup2" and {"nosuid", "noexec", "nodev", "ro"} <= options
    assert seen["read=/sys/fs/cgroup/cgroup.procs"].split() == ["1"]
    assert seen["write=/sys/fs/cgroup/x"] == "EROFS"


def test_proc_cannot_be_hidden(bundle, directory):
    (directory / "fake").mkdir()
    bundle.mount("/proc/self", type="bind", source=str(directory / "fake"), options=["bind"])
    bundle.refused()


@pytest.mark.checklist(14)
def test_proc_of_the_image_must_not_be_a_link(bundle):
    (bundle.rootfs / "proc").rmdir()
    os.symlink("/tmp", bundle.rootfs / "proc")
    bundle.refused()


@pytest.mark.checklist(77, 78, 137)
def test_default_devices_and_links(bundle):
    names = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
             "tty": (5, 0)}
    links = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
             "stderr": "/proc/self/fd/2"}
    seen = bundle.run(*[f"stat=/dev/{name}" for name in (*names, *links, "ptmx")])
    for name, (major, minor) in names.items():
        node = seen[f"stat=/dev/{name}"]
        assert (node["type"], node["major"], node["minor"]) == ("c", major, minor)
        assert node["mode"] == 0o666
    for name, target in links.items():
        assert seen[f"stat=/dev/{name}"]["target"] == target
    assert seen["stat=/dev/ptmx"]["target"] in ("pts/ptmx", "/dev/pts/ptmx")


@pytest.mark.checklist(74, 75)
def test_devices(bundle):
    bundle.linux["devices"] = [
        {"type": "c", "path": "/dev/mynull", "major": 1, "minor": 3, "fileMode": 0o640,
         "uid": 7, "gid": 8},
        {"type": "b", "path": "/dev/deep/loop", "major": 7, "minor": 0, "fileMode": 0o600},
        {"type": "p", "path": "/dev/fifo", "fileMode": 0o622},
        {"type": "u", "path": "/dev/unbuffered", "major": 1, "minor": 5, "fileMode": 0o666}]
    seen = bundle.run("stat=/dev/mynull", "stat=/dev/deep/loop", "stat=/dev/fifo",
                      "stat=/dev/unbuffered")
    null = seen["stat=/dev/mynull"]
    assert (null["type"], null["major"], null["minor"]) == ("c", 1, 3)
    assert (null["mode"], null["uid"], null["gid"]) == (0o640, 7, 8)
    assert seen["stat=/dev/deep/loop"]["type"] == "b" and seen["stat=/dev/deep/loop"]["major"] == 7
    assert seen["stat=/dev/fifo"]["type"] == "p" and seen["stat=/dev/fifo"]["mode"] == 0o622
    assert seen["stat=/dev/unbuffered"]["type"] == "c"


@pytest.mark.checklist(76)
@pytest.mark.deviates("runc", "crun")
def test_device_whose_path_is_another_file(bundle):
    bundle.spec["mounts"] = [m for m in bundle.spec["mounts"] if m["destination"] == "/proc"]
    (bundle.rootfs / "dev/mynull").write_text("a file of the image")
    bundle.linux["devices"] = [{"type": "c", "path": "/dev/mynull", "major": 1, "minor": 3}]
    assert "/dev/mynull" in bundle.refused()


@pytest.mark.checklist(122)
def test_masked_paths(bundle):
    (bundle.rootfs / "data/secret").write_text("secret")
    (bundle.rootfs / "data/dir").mkdir()
    (bundle.rootfs / "data/dir/file").touch()
    bundle.linux["maskedPaths"] = ["/data/secret", "/data/dir", "/nonexistent", "/proc/keys"]
    seen = bundle.run("read=/data/secret", "stat=/data/secret", "list=/data/dir",
                      "write=/data/dir/new", "read=/proc/keys")
    assert seen["read=/data/secret"] == "" and seen["stat=/data/secret"]["type"] == "c"
    assert seen["list=/data/dir"] == [] and seen["write=/data/dir/new"] == "EROFS"
    assert seen["read=/proc/keys"] == ""


@pytest.mark.checklist(123)
def test_readonly_paths(bundle):
    (bundle.rootfs / "data/dir").mkdir()
    bundle.linux["readonlyPaths"] = ["/data/dir", "/proc/sys", "/nonexistent"]
    seen = bundle.run("write=/data/dir/new", "write=/data/new", "open-w=/proc/sys/kernel/hostname",
                      "mounts")
    assert seen["write=/data/dir/new"] == "EROFS" and seen["write=/data/new"] == "0"
    assert seen["open-w=/proc/sys/kernel/hostname"] == "EROFS"
    assert "ro" in mount_options(seen["mounts"], "/proc/sys")[0]


@pytest.mark.checklist(112)
def test_sysctl(bundle):
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "1234",
                              "net/ipv4/conf/lo/forwarding": "0"}
    seen = bundle.run("read=/proc/sys/net/ipv4/ip_forward", "read=/proc/sys/kernel/shmmni")
    assert seen["read=/proc/sys/net/ipv4/ip_forward"] == "1\n"
    assert seen["read=/proc/sys/kernel/shmmni"] == "1234\n"


@pytest.mark.checklist(112)
@pytest.mark.parametrize("name, missing", [
    ("vm.swappiness", None), ("kernel.pid_max", None), ("net.ipv4.ip_forward", "network"),
    ("kernel.shmmni", "ipc")])
def test_sysctl_of_the_host(bundle, name, missing):
    if missing:
        bundle.without_namespace(missing)
    bundle.linux["sysctl"] = {name: "1"}
    assert name in bundle.refused()


@pytest.mark.checklist(66)
def test_nothing_of_the_host_is_mounted_inside(bundle):
    points = {line.split()[4] for line in bundle.run("mounts")["mounts"]}
    wanted = {"/", *[mount["destination"] for mount in bundle.spec["mounts"]]}
    assert points <= wanted | {"/dev/console"}


@pytest.mark.checklist(135)
def test_host_mounts_do_not_change(bundle):
    def mounts():
        with open("/proc/self/mountinfo") as file:
            return file.read()
    before = mounts()
    container = bundle.start()
    assert mounts() == before
    container.delete("--force")
    assert mounts() == before


def test_no_pivot(bundle):
    (bundle.rootfs / "etc/mark").write_text("mine")
    seen = bundle.run("read=/etc/mark", "list=/", options=["--no-pivot"])
    assert seen["read=/etc/mark"] == "mine" and "probe" in seen["list=/"]
