"""Fixtures of the security suite: those of the OCI suite, and a canary that is watched all along.

A test of a known vulnerability names the versions that have it, and is expected to fail on those
(in one of its variants at least): so the suite proves itself with `RUNTIME=runc` or `RUNTIME=crun`.
"""

import re
import subprocess

import pytest

from oci.conftest import (bundle, console_socket, directory,  # noqa: F401: they are fixtures
                          only_where_it_holds, probe, runtime, runtime_program,  # noqa: F401
                          session)  # noqa: F401
from oci.conftest import pytest_configure as oci_configure
from oci.harness import facts
from security.canary import Canary


def pytest_configure(config):
    oci_configure(config)
    config.addinivalue_line(
        "markers", "vulnerable(runc=..., crun=...): a version on which this test was seen to fail")


def version_of(program):
    """("runc", "1.1.5")"""
    text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return text.split()[0], re.search(r"\d+\.\d+(\.\d+)?", text).group()


@pytest.fixture(autouse=True)
def known_to_fail(request, runtime_program):
    marker = request.node.get_closest_marker("vulnerable")
    if marker is None:
        return
    name, version = version_of(runtime_program)
    if version in str(marker.kwargs.get(name, "")).split():
        request.applymarker(pytest.mark.xfail(strict=False, reason=f"{name} {version} has it"))


@pytest.fixture
def said():
    """What containers and the runtime have said, for the canary to look for its secrets in."""
    return []


def outputs(directory):
    return [file.read_text(errors="replace") for file in directory.glob("bundle/output*")]


@pytest.fixture(autouse=True)
def canary(directory, probe, said):
    """A tree of the host that a test may aim at; at the end it is as it was."""
    watched = Canary(directory / "canary", probe)
    yield watched
    harm = [] if watched.sang else watched.check(*said, *outputs(directory))
    watched.close()
    assert not harm, "\n".join(harm)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """The canary is looked at as a part of the test, so that its song fails the test; the fixture
    looks again when the containers are gone."""
    given = pyfuncitem.funcargs
    pyfuncitem.obj(**{name: given[name] for name in pyfuncitem._fixtureinfo.argnames})
    harm = given["canary"].check(*given["said"], *outputs(given["directory"]))
    given["canary"].sang = bool(harm)
    assert not harm, "\n".join(harm)
    return True


@pytest.fixture
def attempt(bundle, said):
    """Runs what may well be refused; (exit code, facts, all text)."""
    def run(*words, options=(), **how):
        done = bundle.run_text(*words, code=None, options=options, **how)
        said.append(done.stdout + done.stderr)
        return done.returncode, facts(done.stdout), done.stdout + done.stderr
    return run
