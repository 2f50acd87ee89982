"""Labels on a kernel with SELinux, which the VM has (`integration/vm/run --append
security=selinux`). Without SELinux: test_oci_refusals.py."""

import os
import pathlib
import shutil

import pytest

from lib import selinux

pytestmark = [
    pytest.mark.skipif(not selinux.is_there(), reason="this kernel runs without SELinux"),
    pytest.mark.skipif("vm.init=" not in pathlib.Path("/proc/cmdline").read_text(),
                       reason="loads a policy: only in the VM"),
    pytest.mark.skipif(shutil.which("checkpolicy") is None, reason="no checkpolicy(8)")]


@pytest.fixture(scope="module", autouse=True)
def policy(session):
    selinux.load()


def own_label(seen):
    return seen["read=/proc/self/attr/current"].rstrip("\0\n")


@pytest.mark.checklist(42)
@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_process_has_its_label(bundle, no_new_privileges):
    bundle.process.update(selinuxLabel=selinux.PROCESS, noNewPrivileges=no_new_privileges)
    assert own_label(bundle.run("read=/proc/self/attr/current")) == selinux.PROCESS
    assert own_label(bundle.start().exec("read=/proc/self/attr/current")) == selinux.PROCESS


@pytest.mark.checklist(42)
def test_label_that_no_policy_knows(bundle):
    bundle.process["selinuxLabel"] = "system_u:system_r:nobody_knows_t:s0"
    bundle.refused("exit=0", verb="run")


@pytest.mark.checklist(124)
def test_mounts_have_their_label(bundle):
    bundle.linux["mountLabel"] = selinux.FILE
    lines = bundle.run("read=/proc/self/mountinfo")["read=/proc/self/mountinfo"].splitlines()
    labelled = {line.split()[4] for line in lines if f'context="{selinux.FILE}"' in line}
    assert labelled >= {"/dev", "/dev/pts", "/dev/shm"}
    assert not {"/proc", "/sys"} & labelled


@pytest.mark.checklist(124)
def test_message_queues_have_their_label(bundle):
    """Of an IPC namespace, whose file system exists before it is mounted and takes no option."""
    bundle.linux["mountLabel"] = selinux.FILE
    bundle.mount("/dev/mqueue", type="mqueue", source="mqueue", options=["nosuid", "nodev"])
    label = os.getxattr(f"/proc/{bundle.start().pid()}/root/dev/mqueue", "security.selinux")
    assert label.decode().rstrip("\0") == selinux.FILE


@pytest.mark.checklist(124)
def test_mount_label_that_no_policy_knows(bundle):
    bundle.linux["mountLabel"] = "system_u:object_r:nobody_knows_t:s0"
    bundle.refused("exit=0", verb="run")
