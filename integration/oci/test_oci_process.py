"""config.md#process, seen from inside."""

import os
import pathlib
import resource
import socket

import pytest

KILL, CHOWN, RAW = 1 << 5, 1 << 0, 1 << 13


@pytest.mark.checklist(37, 38)
def test_working_directory_and_environment(bundle):
    bundle.process["cwd"] = "/tmp"
    bundle.process["env"] = ["A=b", "EMPTY=", "HOME=/data"]
    seen = bundle.run("cwd", "env")
    assert seen["cwd"] == "/tmp"
    assert set(seen["env"]) == {"A=b", "EMPTY=", "HOME=/data"}


@pytest.mark.checklist(38)
def test_home_comes_from_passwd(bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    assert "HOME=/home/app" in bundle.run("env")["env"]


def test_missing_working_directory_is_made(bundle):
    bundle.process["cwd"] = "/made/for/it"
    assert bundle.run("cwd")["cwd"] == "/made/for/it"


@pytest.mark.checklist(38)
def test_program_is_found_in_the_path_of_the_container(bundle):
    bundle.process["env"] = ["PATH=/nowhere:/bin:/"]
    bundle.process["args"] = ["probe", "cwd"]
    assert bundle.run()["cwd"] == "/"


@pytest.mark.parametrize("program, text", [
    ("nosuch", "executable file not found in $PATH"),
    ("/nosuch", "no such file or directory"),
    ("/etc/passwd", "permission denied"),
    ("/tmp", "is a directory|permission denied"),
])
@pytest.mark.checklist(38, 136)
def test_program_that_cannot_be_executed(bundle, program, text):
    bundle.process["args"] = [program]
    message = bundle.refused(verb="run").lower()
    assert any(one.lower() in message for one in text.split("|")), message


@pytest.mark.checklist(53)
def test_user_groups_and_umask(bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1001, "umask": 0o077,
                              "additionalGids": [5, 2000]}
    ids = bundle.run("ids")["ids"]
    assert ids == {"uid": 1000, "euid": 1000, "gid": 1001, "egid": 1001,
                   "groups": ids["groups"], "umask": 0o077}
    assert set(ids["groups"]) - {1001} == {5, 2000}


@pytest.mark.checklist(53)
def test_groups_of_the_caller_do_not_come_along(bundle):
    assert set(bundle.run("ids", preexec_fn=lambda: os.setgroups([7]))["ids"]["groups"]) <= {0}


@pytest.mark.checklist(39)
def test_rlimits(bundle):
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    top = 2**64 - 1 if hard == resource.RLIM_INFINITY else hard
    bundle.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                                 {"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 1 << 21},
                                 {"type": "RLIMIT_CORE", "soft": 0, "hard": top}]
    limits = bundle.run("rlimits")["rlimits"]
    assert limits["NOFILE"] == [100, 200]
    assert limits["STACK"] == [1 << 20, 1 << 21]
    assert limits["CORE"] == [0, top]


@pytest.mark.checklist(43)
def test_capabilities(bundle):
    bundle.process["capabilities"] = {
        "bounding": ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"],
        "permitted": ["CAP_KILL", "CAP_CHOWN"],
        "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]}
    caps = {name: int(mask, 16) for name, mask in bundle.run("caps")["caps"].items()}
    assert caps["bounding"] == KILL | CHOWN | RAW
    assert caps["inheritable"] == KILL
    assert caps["ambient"] == KILL
    # execve(2) of a program without file capabilities by root: capabilities(7)
    assert caps["permitted"] == KILL | CHOWN | RAW or caps["permitted"] == KILL | CHOWN


@pytest.mark.checklist(43)
def test_capabilities_of_a_user(bundle):
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    sets = ("bounding", "permitted", "effective", "inheritable", "ambient")
    bundle.process["capabilities"] = {name: ["CAP_KILL"] for name in sets}
    caps = bundle.run("caps", "ids")
    assert caps["ids"]["uid"] == 1000
    assert {int(mask, 16) for mask in caps["caps"].values()} == {KILL}


@pytest.mark.checklist(43)
def test_no_capabilities_at_all(bundle):
    bundle.process["capabilities"] = {}
    caps = bundle.run("caps")["caps"]
    assert {int(mask, 16) for mask in caps.values()} == {0}


@pytest.mark.checklist(44)
@pytest.mark.deviates("crun")
def test_unknown_capability_is_a_warning(bundle):
    bundle.process["capabilities"] = {"bounding": ["CAP_KILL", "CAP_NOSUCH"]}
    done = bundle.run_text("caps")
    assert "CAP_NOSUCH" in done.stderr


@pytest.mark.checklist(45)
@pytest.mark.deviates("runc", "crun")
def test_capability_that_cannot_be_granted_is_a_warning(bundle):
    own = int(pathlib.Path("/proc/self/status").read_text().split("CapBnd:\t")[1].split()[0], 16)
    if own & 1 << 24:
        pytest.skip("this host grants CAP_SYS_RESOURCE")
    sets = ("bounding", "permitted", "effective")
    bundle.process["capabilities"] = {n: ["CAP_KILL", "CAP_SYS_RESOURCE"] for n in sets}
    done = bundle.run_text("caps")
    assert "CAP_SYS_RESOURCE" in done.stderr


@pytest.mark.checklist(46)
@pytest.mark.parametrize("wanted", [True, False])
def test_no_new_privileges(bundle, wanted):
    bundle.process["noNewPrivileges"] = wanted
    assert bundle.run("no_new_privs")["no_new_privs"] == str(int(wanted))


@pytest.mark.checklist(47)
def test_oom_score_adj(bundle):
    bundle.process["oomScoreAdj"] = 500
    seen = bundle.run("read=/proc/self/oom_score_adj")
    assert seen["read=/proc/self/oom_score_adj"] == "500\n"


@pytest.mark.checklist(47)
def test_oom_score_adj_stays_as_it_was(bundle):
    own = pathlib.Path("/proc/self/oom_score_adj").read_text()
    assert bundle.run("read=/proc/self/oom_score_adj")["read=/proc/self/oom_score_adj"] == own


@pytest.mark.checklist(48, 50)
def test_scheduler(bundle):
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    seen = bundle.run("scheduling")["scheduling"]
    assert (seen["policy"], seen["nice"]) == (3, 5)


@pytest.mark.checklist(51)
def test_io_priority(bundle):
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    seen = bundle.run("scheduling")["scheduling"]
    assert (seen["io_class"], seen["io_priority"]) == (2, 6)


@pytest.mark.checklist(125)
def test_personality(bundle):
    bundle.linux["personality"] = {"domain": "LINUX32"}
    assert bundle.run("uname")["uname"]["machine"] == "i686"


@pytest.mark.checklist(79)
def test_only_the_standard_descriptors(bundle):
    with open("/dev/null") as other:
        seen = bundle.run("fds", pass_fds=[other.fileno()])
    assert seen["fds"] == [0, 1, 2]


def hand_over(text):
    """Options that give a child descriptor 3, from which `text` can be read."""
    near, far = socket.socketpair()
    near.sendall(text)
    near.close()

    def install():
        os.dup2(far.fileno(), 3)
        os.environ["LISTEN_PID"] = str(os.getpid())

    return far, {"pass_fds": [3, far.fileno()], "preexec_fn": install}


@pytest.mark.checklist(79)
def test_preserved_descriptors(bundle):
    far, how = hand_over(b"three")
    with far:
        seen = bundle.run("fds", "readfd=3", options=["--preserve-fds", "1"], **how)
    assert seen == {"fds": [0, 1, 2, 3], "readfd=3": "three"}


def test_listen_fds(bundle, monkeypatch):
    monkeypatch.setenv("LISTEN_FDS", "1")
    far, how = hand_over(b"socket")
    with far:
        seen = bundle.run("fds", "env", "readfd=3", **how)
    assert seen["fds"] == [0, 1, 2, 3] and seen["readfd=3"] == "socket"
    assert "LISTEN_FDS=1" in seen["env"] and "LISTEN_PID=1" in seen["env"]


def test_signals_are_as_a_new_program_expects(bundle):
    signals = bundle.run("signals", restore_signals=False)["signals"]
    assert {name: int(mask, 16) for name, mask in signals.items()} == {"blocked": 0, "ignored": 0}


def test_session_keyring_of_its_own(bundle):
    inside = bundle.run("keyring")["keyring"]
    assert "_ses" in inside and not inside.endswith("_uid_ses.0"), inside


@pytest.mark.checklist(5)
def test_file_system_root_is_the_bundles(bundle):
    (bundle.rootfs / "etc/mark").write_text("mine")
    seen = bundle.run("list=/", "read=/etc/mark", "open-r=/../../../etc/hostname")
    assert seen["read=/etc/mark"] == "mine"
    assert seen["open-r=/../../../etc/hostname"] == "ENOENT"
    assert set(seen["list=/"]) == {"proc", "dev", "sys", "tmp", "etc", "data", "probe"}


@pytest.mark.checklist(6)
def test_readonly_root(bundle):
    bundle.spec["root"]["readonly"] = True
    seen = bundle.run("write=/data/x", "write=/dev/shm/x")
    assert seen == {"write=/data/x": "EROFS", "write=/dev/shm/x": "0"}
