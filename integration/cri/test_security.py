"""Security contexts and mounts of containers, seen from inside."""

import json
import pathlib
import signal

import grpc
import pytest

from cri.pods import Pod, image

CAP_CHOWN, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_NET_RAW = 0, 12, 21, 13


def security(**context):
    return {"linux": {"security_context": context}}


def process_status(container):
    lines = container.output("cat", "/proc/self/status").splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def has(status, capability, which="CapEff"):
    return bool(int(status[which], 16) >> capability & 1)


def test_default_capabilities(pod):
    status = process_status(pod.run())
    assert has(status, CAP_CHOWN) and has(status, CAP_NET_RAW)
    assert not has(status, CAP_SYS_ADMIN) and not has(status, CAP_NET_ADMIN)


def test_added_and_dropped_capabilities(pod):
    container = pod.run(**security(capabilities={"add_capabilities": ["NET_ADMIN"],
                                                 "drop_capabilities": ["CHOWN"]}))
    status = process_status(container)
    assert has(status, CAP_NET_ADMIN)
    assert not has(status, CAP_CHOWN, "CapBnd")
    container = pod.run(**security(capabilities={"drop_capabilities": ["ALL"]}))
    assert int(process_status(container)["CapBnd"], 16) == 0


def test_unknown_capability(pod):
    with pytest.raises(grpc.RpcError) as error:
        pod.run(**security(capabilities={"add_capabilities": ["FLY"]}))
    assert "FLY" in error.value.details()


def test_privileged(daemon):
    privileged = security(privileged=True)
    pod = Pod(daemon, **privileged)
    container = pod.run(**privileged)
    status = process_status(container)
    assert has(status, CAP_SYS_ADMIN)
    assert status["Seccomp"] == "0"
    container.output("ls", "/dev/loop-control")
    container.output("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    assert container.exec("sh", "-c", "mkdir /m && mount -t tmpfs t /m").exit_code == 0


def test_privileged_container_needs_a_privileged_pod(pod):
    with pytest.raises(grpc.RpcError) as error:
        pod.run(**security(privileged=True))
    assert "privileged" in error.value.details()


def test_seccomp_profiles(pod, daemon):
    profile = daemon.directory / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", '
                       '"mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13}]}')
    default = pod.run(**security(seccomp={"profile_type": "RuntimeDefault"}))
    assert process_status(default)["Seccomp"] == "2"
    assert default.exec("unshare", "-m", "true").exit_code != 0
    unconfined = pod.run(**security(seccomp={"profile_type": "Unconfined"}))
    assert process_status(unconfined)["Seccomp"] == "0"
    local = pod.run(**security(seccomp={"profile_type": "Localhost",
                                        "localhost_ref": str(profile)}))
    assert process_status(local)["Seccomp"] == "2"
    refused = local.exec("mkdir", "/x")
    assert refused.exit_code != 0 and b"Permission denied" in refused.stderr
    with pytest.raises(grpc.RpcError):
        pod.run(**security(seccomp={"profile_type": "Localhost",
                                    "localhost_ref": "/nonexistent.json"}))


def refusals(daemon, *calls):
    """What calls of the guest program come to under the default profile."""
    daemon.client.PullImage(image={"image": image("probe")})
    container = Pod(daemon).run("/probe", "sleep", image_name="probe",
                                **security(seccomp={"profile_type": "RuntimeDefault"}))
    results = {call: container.exec("/probe", call) for call in calls}
    return {call: json.loads(result.stdout)[call] if result.exit_code == 0 else result.exit_code
            for call, result in results.items()}


def test_32_bit_calls_under_the_default_profile(daemon):
    """Programs of 32 bits run, under the same rules: i386's 20 is getpid(2), 288 keyctl(2) and 359
    socket(2)."""
    expected = {"i386=20": "0", "i386=288": "EPERM", "i386=359:1": "0"}
    if daemon.name == "coracled":  # of containerd a newer one
        expected |= {"i386=359:38": "EPERM", "socket=38": "EPERM"}
    assert refusals(daemon, *expected) == expected


def test_32_bit_calls_are_killed_where_the_configuration_says_so(stage):
    daemon = stage.daemon(started=False)
    if daemon.name != "coracled":
        pytest.skip("an option of coracled")
    with open(daemon.config, "a", encoding="ascii") as config:
        config.write("[container]\nprograms_32_bit = false\n")
    killed = 128 + signal.SIGSYS
    assert refusals(daemon.start(), "i386=20", "i386=socket:38", "socket=1") == {
        "i386=20": killed, "i386=socket:38": killed, "socket=1": "0"}


def test_no_new_privileges(pod):
    assert process_status(pod.run(**security(no_new_privs=True)))["NoNewPrivs"] == "1"
    assert process_status(pod.run(**security(no_new_privs=False)))["NoNewPrivs"] == "0"


def test_user_by_number_and_by_name(pod):
    container = pod.run(**security(run_as_user={"value": 1234}, run_as_group={"value": 5678}))
    assert container.output("id", "-u") == "1234\n"
    assert container.output("id", "-g") == "5678\n"
    container = pod.run(**security(run_as_username="app"))
    assert container.output("id", "-u") == "1000\n"
    assert "2000" in container.output("id", "-G").split()  # from the image's /etc/group


def test_user_that_the_image_does_not_know(pod):
    with pytest.raises(grpc.RpcError) as error:
        pod.run(**security(run_as_username="nobody-knows"))
    assert "nobody-knows" in error.value.details()


def test_supplemental_groups(pod):
    container = pod.run(**security(run_as_user={"value": 1000}, supplemental_groups=[4242]))
    assert {"4242", "2000"} <= set(container.output("id", "-G").split())


def test_read_only_root(pod):
    container = pod.run(**security(readonly_rootfs=True))
    assert container.exec("touch", "/file").exit_code != 0
    container.output("touch", "/dev/shm/file")


def test_masked_and_read_only_paths(pod):
    container = pod.run(**security(masked_paths=["/proc/kcore", "/etc/passwd"],
                                   readonly_paths=["/proc/sys", "/home"]))
    assert container.output("cat", "/etc/passwd") == ""
    assert container.exec("touch", "/home/x").exit_code != 0
    assert container.exec("sh", "-c", "echo x > /proc/sys/kernel/hostname").exit_code != 0


def test_default_masked_paths(pod):
    container = pod.run()
    assert container.exec("head", "-c", "1", "/proc/kcore").stdout == b""
    assert container.exec("sh", "-c", "echo h > /proc/sysrq-trigger").exit_code != 0
    assert container.exec("touch", "/sys/kernel/x").exit_code != 0


def test_mounts(pod, daemon):
    shared = daemon.directory / "shared"
    shared.mkdir()
    (shared / "file").write_text("of the host\n")
    container = pod.run(mounts=[
        {"container_path": "/rw", "host_path": str(shared)},
        {"container_path": "/ro", "host_path": str(shared), "readonly": True},
        {"container_path": "/one/file", "host_path": str(shared / "file")},
        {"container_path": "/made", "host_path": str(shared / "new/directory")}])
    assert container.output("cat", "/rw/file") == "of the host\n"
    assert container.output("cat", "/one/file") == "of the host\n"
    container.output("sh", "-c", "echo from inside > /rw/answer")
    assert (shared / "answer").read_text() == "from inside\n"
    assert container.exec("touch", "/ro/x").exit_code != 0
    assert (shared / "new/directory").is_dir()


def test_mount_propagation(daemon):
    privileged = security(privileged=True)
    pod = Pod(daemon, **privileged)
    shared = daemon.directory / "propagation"
    shared.mkdir()
    daemon.space.run("sh", "-c", f"mount -t tmpfs t {shared} && mount --make-shared {shared} && "
                                 f"mkdir {shared}/inner")
    try:
        one_way = pod.run(mounts=[{"container_path": "/m", "host_path": str(shared), "propagation":
                                   "PROPAGATION_HOST_TO_CONTAINER"}], **privileged)
        none = pod.run(mounts=[{"container_path": "/m", "host_path": str(shared)}], **privileged)
        both = pod.run(mounts=[{"container_path": "/m", "host_path": str(shared), "propagation":
                                "PROPAGATION_BIDIRECTIONAL"}], **privileged)
        daemon.space.run("sh", "-c", f"mount -t tmpfs t {shared}/inner && touch {shared}/inner/x")
        assert one_way.output("ls", "/m/inner") == "x\n"
        assert none.output("ls", "/m/inner") == ""
        both.output("sh", "-c", "mkdir /m/back && mount -t tmpfs t /m/back")
        assert f"{shared}/back" in " ".join(daemon.space.mounts())
    finally:
        pod.remove()
        daemon.space.run("umount", "-R", str(shared))


def test_devices(pod):
    container = pod.run(devices=[{"container_path": "/dev/mine", "host_path": "/dev/zero",
                                  "permissions": "rw"}])
    assert container.output("head", "-c", "3", "/dev/mine") == "\0\0\0"
    plain = pod.run()
    plain.output("sh", "-c", "echo x > /dev/null")
    made = plain.exec("sh", "-c", "mknod /d b 7 0 && head -c 1 /d")
    assert made.exit_code != 0


def test_oom_score_adj(pod):
    container = pod.run(linux={"resources": {"oom_score_adj": 567}})
    assert container.output("cat", "/proc/self/oom_score_adj") == "567\n"


def test_volumes_of_the_image_are_writable_and_hold_its_data(pod):
    container = pod.run(image_name="settings", command=["sleep"], args=["1000"])
    assert container.output("cat", "/data/shipped") == "from the image\n"
    container.output("touch", "/data/mine", "/tmp/x")


def test_hosts_file(pod):
    container = pod.run()
    assert "localhost" in container.output("cat", "/etc/hosts")
    assert pathlib.Path(pod.config["log_directory"]).is_dir()
