"""Fixtures of the OCI runtime's suite. RUNTIME names the program that is tested (default: the
coracle of BUILD_DIR); with runc or crun the suite proves itself."""

import ctypes
import os
import pathlib
import shutil
import tempfile

import pytest

from oci.deviations import DEVIATIONS, OTHER_WAYS
from oci.harness import Bundle, ConsoleSocket, Runtime, cgroup_mount

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 0x40000


def pytest_configure(config):
    config.addinivalue_line("markers", "coracle: about what only coracle has or promises")
    config.addinivalue_line("markers", "deviates(*runtimes): these are known to do otherwise")
    config.addinivalue_line("markers", "endangers(*runtimes): of these the host takes harm")


def call(function, *arguments):
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), function.__name__)


def hide_cgroup_v1():
    """A mount namespace with cgroup2 at /sys/fs/cgroup, without which runc and crun speak v1."""
    libc = ctypes.CDLL(None, use_errno=True)
    call(libc.unshare, CLONE_NEWNS)
    call(libc.mount, b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    call(libc.mount, str(cgroup_mount()).encode(), b"/sys/fs/cgroup", None, MS_BIND, None)


@pytest.fixture(scope="session")
def runtime_program(build_dir):
    name = os.environ.get("RUNTIME", str(build_dir / "bin/coracle"))
    program = shutil.which(name)
    if program is None:
        pytest.exit(f"no OCI runtime {name}: build first, or set RUNTIME", 2)
    return program


@pytest.fixture(scope="session")
def probe(build_dir):
    return build_dir / "bin/probe"


@pytest.fixture(scope="session", autouse=True)
def session(runtime_program):
    if os.geteuid() != 0:
        pytest.skip("containers need root")
    if cgroup_mount() is None:
        pytest.skip("this host has no cgroup2 file system")
    if (pathlib.Path(runtime_program).name.startswith(("runc", "crun"))
            and cgroup_mount() != pathlib.Path("/sys/fs/cgroup")):
        hide_cgroup_v1()


@pytest.fixture
def directory():
    """Of this test alone; every user may enter it, as a mapped root must."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="coracle-oci-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def runtime(runtime_program, directory):
    return Runtime(runtime_program, directory)


@pytest.fixture(autouse=True)
def only_where_it_holds(request, runtime):
    """Whoever judges wants to see a peer fail; what is no demand of a standard is skipped still."""
    rows = {row for mark in request.node.iter_markers("checklist") for row in mark.args}
    judging = request.config.getoption("--judge") and rows
    names = {request.node.name, request.node.name.split("[")[0]}
    if request.node.get_closest_marker("coracle") and runtime.name != "coracle":
        pytest.skip("about coracle only")
    if names & OTHER_WAYS.get(runtime.name, set()):
        pytest.skip(f"{runtime.name} does so in its own way, or says so in other words")
    endangers = request.node.get_closest_marker("endangers")
    if endangers and runtime.name in endangers.args:
        pytest.skip(f"{runtime.name} would mount in the host's own mount namespace")
    deviates = request.node.get_closest_marker("deviates")
    if not judging and (deviates and runtime.name in deviates.args
                        or names & DEVIATIONS.get(runtime.name, set())):
        pytest.skip(f"{runtime.name} is known to do otherwise")


@pytest.fixture
def bundle(request, runtime, directory, probe):
    made = Bundle(runtime, directory, probe, f"/coracle-test-{os.getpid()}")
    # crun leaves the cgroup of a failing create behind; a peer that leaves something is not to fail
    # every row for it, only the one about that.
    rows = {row for mark in request.node.iter_markers("checklist") for row in mark.args}
    lenient = request.config.getoption("--judge") or runtime.name == "crun"
    made.must_be_clean = not lenient or 131 in rows
    yield made
    left = made.close()
    assert not (left and made.must_be_clean), left


@pytest.fixture
def console_socket(directory):
    console = ConsoleSocket(directory / "console.sock")
    yield console
    console.close()
