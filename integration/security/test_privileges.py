"""What a process in a container may be and do: never more than config.json says, whoever asks and
however the request is spelled."""

import json
import os
import re
import shutil
import struct
import subprocess

import pytest

from oci.harness import facts
from security.canary import Watch

NET_RAW, KILL = 1 << 13, 1 << 5
NONE = "0" * 16
GIVEN = {name: ["CAP_KILL", "CAP_NET_RAW"] for name in ("bounding", "effective", "permitted")}


def mask(bits):
    return f"{bits:016x}"


@pytest.mark.vulnerable(runc="1.1.1")
@pytest.mark.parametrize("user", [0, 1000])
@pytest.mark.parametrize("way", ["run", "exec", "exec --cap"])
def test_inheritable_and_ambient_are_as_configured(bundle, user, way):
    """CVE-2022-29162, CVE-2022-27650, CVE-2016-8867: empty unless config.json lists them."""
    bundle.process["capabilities"] = GIVEN
    bundle.process["user"] = {"uid": user, "gid": user}
    if way == "run":
        caps = bundle.run("caps")["caps"]
    else:
        options = ["--cap", "CAP_SYS_CHROOT"] if way == "exec --cap" else []
        caps = bundle.start().exec("caps", options=options)["caps"]
    assert caps["inheritable"] == caps["ambient"] == NONE
    if user == 0 and way == "run":
        assert caps["effective"] == mask(NET_RAW | KILL)


def test_file_capabilities_add_nothing(bundle):
    """The inheritable set of a file meets an empty one of the process."""
    program = bundle.rootfs / "gifted"
    shutil.copy(bundle.rootfs / "probe", program)
    os.setxattr(program, "security.capability",
                struct.pack("<5I", 0x02000001, 0, NET_RAW, 0, 0))
    bundle.process["capabilities"] = GIVEN
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    bundle.process["args"] = ["/gifted", "caps"]
    assert bundle.run()["caps"]["effective"] == NONE


def test_user_without_capabilities_has_none(bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    caps = bundle.run("caps")["caps"]
    assert set(caps.values()) == {NONE}


@pytest.mark.vulnerable(crun="1.8.1")
@pytest.mark.parametrize("way", ["run", "exec"])
def test_groups_are_those_of_the_config(bundle, runtime, way):
    """CVE-2022-2995, CVE-2023-25173: none of the caller's, and the primary one counts: a file that
    is closed to its group stays closed."""
    closed = bundle.rootfs / "data/closed"
    closed.write_text("not for the group")
    os.chown(closed, 0, 1001)
    closed.chmod(0o604)
    bundle.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6]}
    how = {"extra_groups": [7, 1234]}
    words = ("ids", "open-r=/data/closed")
    if way == "run":
        seen = bundle.run(*words, **how)
    else:
        container = bundle.start()
        seen = facts(runtime("exec", container.id, "/probe", *words, **how).stdout)
    assert (seen["ids"]["gid"], set(seen["ids"]["groups"])) == (1001, {5, 6})
    assert seen["open-r=/data/closed"] == "EACCES"


@pytest.mark.vulnerable(runc="1.1.5 1.1.11", crun="1.8.1")
@pytest.mark.parametrize("uid, accepted", [
    (0, True), (2147483648, True), (4294967294, True), (4294967295, False), (4294967296, False),
    (18446744073709551616, False), (-1, False), ("1000", False), (0.5, False)])
def test_user_ids_of_the_config(bundle, attempt, uid, accepted, runtime):
    """CVE-2024-40635: never rounded, never wrapped to 0."""
    if runtime.name != "coracle" and uid == 4294967295:
        pytest.skip("some runtimes take it for no change")
    bundle.process["user"] = {"uid": uid, "gid": 0}
    code, seen, _ = attempt("ids")
    if accepted:
        assert seen["ids"]["uid"] == uid
    else:
        assert code != 0 and not seen


@pytest.mark.vulnerable(runc="1.1.5 1.1.11 1.3.2", crun="1.8.1")
@pytest.mark.parametrize("user, ids", [
    ("0", (0, 0)), ("1", (1, 0)), ("1:2", (1, 2)), ("0:2", (0, 2)), ("2147483648", (2147483648, 0)),
    ("4294967294:4294967294", (4294967294, 4294967294)), ("1:", None), (":2", None), ("+1", None),
    (" 1", None), ("1 ", None), ("-1", None), ("4294967295", None), ("4294967296", None),
    ("1:4294967296", None), ("18446744073709551616", None), ("1:a", None), ("a", None),
    ("0x0", None), ("1:2:3", None), ("root", None), ("1\n", None), ("12345", (12345, 0))])
def test_user_of_exec(bundle, runtime, user, ids):
    """CVE-2026-30892, CVE-2016-3697: exactly this number or an error, whatever the image's passwd
    says of it."""
    (bundle.rootfs / "etc/passwd").write_text(
        "".join(f"{name}:x:0:0::/:/\n" for name in
                ("root", "1", "1:2", "12345", "4294967296", "+1", "a", "0x0")))
    container = bundle.start()
    done = runtime("exec", f"--user={user}", container.id, "/probe", "ids", code=None)
    if ids is None:
        assert done.returncode != 0 and not facts(done.stdout)
    else:
        seen = facts(done.stdout)["ids"]
        assert (seen["uid"], seen["euid"], seen["gid"], seen["egid"]) == (ids[0], ids[0],
                                                                         ids[1], ids[1])


@pytest.mark.parametrize("rules", [
    None, [], [{"allow": False, "access": "rwm"}],
    [{"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
    [{"allow": False, "type": "c", "major": 10, "minor": 1, "access": "rwm"}]])
def test_devices_are_denied_unless_allowed(bundle, rules):
    """GHSA-g54h-m393-cpwq: without a rule that denies all, all is denied."""
    if rules is not None:
        bundle.linux["resources"] = {"devices": rules}
    nodes = {"mem": ("c", 1, 1), "sda": ("b", 8, 0), "kvm": ("c", 10, 232), "fuse": ("c", 10, 229)}
    bundle.linux["devices"] = [
        {"type": kind, "path": f"/dev/{name}", "major": major, "minor": minor}
        for name, (kind, major, minor) in nodes.items()]
    bundle.process["capabilities"] = {name: ["CAP_MKNOD", "CAP_SYS_RAWIO"] for name
                                      in ("bounding", "effective", "permitted")}
    seen = bundle.run(*[f"open-r=/dev/{name}" for name in nodes], "open-rw=/dev/null",
                      "mknod=b,8,0")
    assert {seen[f"open-r=/dev/{name}"] for name in nodes} == {"EPERM"}
    assert seen["open-rw=/dev/null"] == "0"


SECRET_ENVIRONMENT = os.environ | {"SECRET": "of the caller", "LD_PRELOAD_SECRET": "too"}


@pytest.mark.vulnerable(crun="1.8.1")
def test_environment_is_that_of_the_config(bundle, runtime, said):
    """CVE-2021-21334: neither the caller's, nor another container's, nor filled in."""
    bundle.process["env"] = ["PATH=/", "A=1", "SECRET", "S*", "EMPTY="]
    done = bundle.run_text("env", code=None, env=SECRET_ENVIRONMENT)
    assert "of the caller" not in done.stdout + done.stderr
    if done.returncode == 0:
        seen = facts(done.stdout)["env"]
        assert set(seen) <= {"PATH=/", "A=1", "SECRET", "S*", "EMPTY=", "HOME=/root"}
    bundle.process["env"] = ["PATH=/", "B=2"]
    assert bundle.run("env", env=SECRET_ENVIRONMENT)["env"] == ["PATH=/", "B=2", "HOME=/root"]
    container = bundle.start(env=SECRET_ENVIRONMENT)
    seen = facts(runtime("exec", "-e", "C=3", container.id, "/probe", "env",
                         env=SECRET_ENVIRONMENT).stdout)["env"]
    assert set(seen) == {"PATH=/", "B=2", "C=3", "HOME=/root"}


@pytest.mark.vulnerable(runc="1.1.5 1.1.11 1.3.2")
def test_hooks_get_what_the_config_gives_them(bundle, directory):
    """CVE-2025-23266: no variable of the image or of the caller, no directory of the image."""
    log = directory / "log"
    script = f"/usr/bin/env > {log}.$1; pwd -P > {log}.$1.cwd"
    kinds = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    bundle.spec["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", script, "sh", kind],
                                    "env": [f"KIND={kind}"]}] for kind in kinds}
    bundle.process["env"] += ["LD_PRELOAD=/evil.so", "FROM_IMAGE=1"]
    bundle.run("exit=0", env=SECRET_ENVIRONMENT)
    for kind in kinds:
        seen = set((directory / f"log.{kind}").read_text().split())
        assert seen - {"PWD=" + os.getcwd()} - {one for one in seen if one.startswith(
            ("PWD=", "SHLVL=", "_=", "OLDPWD="))} == {f"KIND={kind}"}
        assert not (directory / f"log.{kind}.cwd").read_text().startswith(str(bundle.rootfs))


@pytest.mark.parametrize("nnp", [True, False])
def test_start_container_hook_is_no_more_than_the_program(bundle, runtime, nnp):
    """Its file is one of the image: it has the program's user, capabilities and filter."""
    shutil.copy("/bin/busybox", bundle.rootfs / "sh")
    report = bundle.rootfs / "tmp/report"
    bundle.spec["process"] |= {"user": {"uid": 1000, "gid": 1001, "additionalGids": [5]},
                       "capabilities": {"bounding": ["CAP_KILL"]}, "noNewPrivileges": nnp}
    bundle.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                               "architectures": ["SCMP_ARCH_X86_64"],
                               "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO"}]}
    bundle.spec["hooks"] = {"startContainer": [
        {"path": "/sh", "args": ["sh", "-c", "cat /proc/self/status > /tmp/report"]}]}
    bundle.run("pid")
    status = dict(re.findall(r"^(\w+):\s*(.*?)\s*$", report.read_text(), re.MULTILINE))
    assert status["Uid"].split() == ["1000"] * 4 and status["Gid"].split() == ["1001"] * 4
    assert status["Groups"] == "5" and status["CapEff"] == status["CapPrm"] == NONE
    assert status["CapBnd"] == mask(KILL)
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", str(int(nnp)))


@pytest.mark.parametrize("size", [(64 << 10) - 1, 64 << 10, (64 << 10) + 9, 1 << 20])
@pytest.mark.parametrize("what", ["env", "annotations", "uidMappings"])
def test_a_large_config_is_still_itself(bundle, attempt, what, size):
    """CVE-2021-43784: no length on the way to the container process is cut off."""
    if what == "env":
        each = 96 << 10  # the kernel takes 128 KiB
        bundle.process["env"] += [f"V{at}=" + "x" * min(each, size - at)
                                  for at in range(0, size, each)]
    elif what == "annotations":
        bundle.spec["annotations"] = {"org.example.large": "x" * size}
    else:  # the kernel takes a page of them
        bundle.with_user_namespace()
        count = min(250, size // 200)
        bundle.linux["uidMappings"] = [{"containerID": at, "hostID": 100000 + at, "size": 1}
                                       for at in range(count)]
    wanted = {"pid", "net", "mnt", "ipc", "uts", "cgroup"}
    code, seen, text = attempt("ns", "caps", "pid", "env", "read=/proc/self/uid_map")
    assert code == 0, text[:1000]
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in wanted}
    assert all(seen["ns"][kind] != own[kind] for kind in wanted) and seen["pid"] == 1
    assert seen["caps"]["effective"] == NONE
    if what == "env":
        assert sorted(seen["env"][:-1]) == sorted(bundle.process["env"])
    if what == "uidMappings":
        assert seen["read=/proc/self/uid_map"].count("\n") == count


ANNOTATIONS = {
    "run.oci.keep_original_groups": "1", "run.oci.mount_context_type": "rootcontext",
    "run.oci.hooks.stdout": "/tmp/out", "run.oci.seccomp.receiver": "/tmp/x",
    "run.oci.handler": "krun", "run.oci.systemd.subgroup": "x", "run.oci.delegate-cgroup": "x",
    "run.oci.seccomp_fail_unknown_syscall": "0", "run.oci.pidfd_receiver": "/tmp/x",
    "org.systemd.property.ExecStopPost": "['touch', '/tmp/escaped']",
    "org.criu.config": "/tmp/criu", "io.podman.annotations.checkpoint.runtime.name": "crun",
    "io.kubernetes.cri-o.cgroup2-mount-hierarchy-rw": "true", "module.wasm.image/variant": "compat"}


@pytest.mark.vulnerable(crun="1.8.1")
@pytest.mark.parametrize("name", ANNOTATIONS)
def test_annotations_change_nothing(bundle, name):
    """CVE-2026-94603, CVE-2024-3154, CVE-2023-6476: they are carried, and decide nothing."""
    words = ("caps", "ids", "env", "rlimits", "no_new_privs", "seccomp", "list=/", "fds", "cwd")
    how = {"extra_groups": [7, 1234]}
    plain = bundle.run(*words, "mounts", **how)
    bundle.spec["annotations"] = {name: ANNOTATIONS[name]}
    annotated = bundle.run(*words, "mounts", **how)
    assert {word: plain[word] for word in words} == {word: annotated[word] for word in words}
    flags = [[" ".join(mount.split()[4:6]) for mount in seen["mounts"]]
             for seen in (plain, annotated)]
    assert flags[0] == flags[1]


@pytest.mark.coracle
@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
def test_there_is_no_checkpoint(bundle, runtime, verb, directory):
    """CVE-2026-119101, CVE-2026-115520 and eight others: what does not exist restores nothing."""
    container = bundle.start()
    image = directory / "image"
    image.mkdir()
    words = [container.id] if verb == "checkpoint" else ["--bundle", str(bundle.path), "restored"]
    assert "not supported" in runtime.fails(verb, "--image-path", image, *words)
    assert not os.listdir(image) and container.status() == "running"


@pytest.mark.parametrize("name, value", [
    ("net.ipv4.ip_forward", "1\nkernel.core_pattern=|/x"), ("net/../kernel/core_pattern", "|/x"),
    ("net/ipv4/../../kernel/core_pattern", "|/x"), ("kernel.core_pattern", "|/x"),
    ("net.ipv4.ip_forward=1+kernel.core_pattern", "|/x"), ("/proc/sys/kernel/core_pattern", "|/x"),
    ("net.ipv4//ip_forward", "1"), (".", "1"), ("..", "1"), ("", "1"), ("net/ipv4/.", "1"),
    ("fs.mqueue/../suid_dumpable", "1"), ("kernel.shmmni/../core_pattern", "|/x")])
def test_sysctls_name_one_setting_of_the_container(bundle, runtime, name, value):
    """CVE-2022-0811, CVE-2022-0532."""
    if runtime.name != "coracle" and name == "net.ipv4.ip_forward":
        pytest.skip("the kernel refuses the second line")
    bundle.linux["sysctl"] = {name: value}
    bundle.refused()


@pytest.mark.vulnerable(runc="1.1.1 1.1.4 1.1.5 1.1.11 1.3.2", crun="1.8.1")
def test_readonly_sys_of_the_host_has_no_writable_part(bundle):
    """CVE-2023-25809: without a network namespace of its own a user namespace gets the host's /sys,
    with the caller's cgroup in it."""
    bundle.with_user_namespace()
    bundle.without_namespace("network")
    bundle.without_namespace("cgroup")
    mounts = bundle.run("mounts")["mounts"]
    below = [mount for mount in mounts if (mount.split()[4] + "/").startswith("/sys/")]
    assert below and not [m for m in below if "ro" not in m.split()[5].split(",")]


DECOYS = ["etc/ld.so.preload", "etc/ld.so.cache", "etc/nsswitch.conf", "etc/group", "etc/shadow",
          "etc/localtime", "etc/gai.conf", "lib/x86_64-linux-gnu/libnss_files.so.2",
          "lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libseccomp.so.2",
          "usr/lib/x86_64-linux-gnu/gconv/gconv-modules", "usr/lib/locale/locale-archive",
          "bin/sh", "usr/bin/newuidmap", "usr/sbin/nsenter"]


@pytest.mark.vulnerable(runc="1.1.5 1.1.11")
def test_no_file_of_the_image_is_used_on_the_way_in(bundle, runtime):
    """CVE-2019-14271, CVE-2022-1227: neither library nor name service, locale or helper program."""
    for name in DECOYS:
        (bundle.rootfs / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle.rootfs / name).write_text("hostile")
    bundle.process["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [5]}
    watch = Watch(bundle.rootfs)
    try:
        container = bundle.start("print=ready", "sleep")
        runtime("exec", "--user", "1000:1000", container.id, "/probe", "exit=0",
                env=os.environ | {"LANG": "de_DE.UTF-8", "TZ": "Europe/Berlin"})
        touched = {event.rsplit(" ", 1)[1].removeprefix(f"{bundle.rootfs}/")
                   for event in watch.events() if event.startswith(("open", "read"))}
    finally:
        watch.close()
    assert touched <= {"probe", "etc/passwd"}


@pytest.mark.parametrize("profile", [
    {}, {"defaultAction": ""}, {"defaultAction": "SCMP_ACT_NOPE"}, {"defaultAction": 1},
    {"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_NOPE"]},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chroot"]}]},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chroot"], "action": "SCMP_ACT_NOPE"}]},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chroot"], "action": "SCMP_ACT_ERRNO",
         "args": [{"index": 9, "value": 0, "op": "SCMP_CMP_EQ"}]}]},
    {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["chroot"], "action": "SCMP_ACT_ERRNO",
         "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_NOPE"}]}]},
    {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NOPE"]}],
    ids=lambda profile: json.dumps(profile)[:60])
@pytest.mark.deviates("runc", "crun")
def test_no_seccomp_profile_fails_open(bundle, profile):
    """CVE-2023-2431: what cannot be understood is no profile, and no reason to go without one."""
    bundle.linux["seccomp"] = profile
    bundle.refused(verb="run")


def test_processes_of_one_container_are_not_those_of_another(bundle):
    """The control of the suite's own tools: what `ps` of the host sees, a container does not."""
    bundle.start()
    assert bundle.run("pid")["pid"] == 1
    assert subprocess.run(["ps", "-e"], check=True, capture_output=True).stdout.count(b"\n") > 2
