"""The OCI's runtime-tools: builds the validation programs, runs one, reads what it says."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

MODULE = "github.com/opencontainers/runtime-tools"
VERSION = "v0.9.1-0.20250523060157-0ea5ed0382a2"
NOT_PROGRAMS = {"runtimetest", "rootfs-amd64.tar.gz"}


@dataclass
class Outcome:
    """What one program says of one runtime."""
    points: list = field(default_factory=list)  # (description, "ok" | "not ok" | "skip")
    end: str = ""  # how the program ended, when not well

    def count(self, word):
        return sum(said == word for _, said in self.points)

    @property
    def failures(self):
        return [what for what, said in self.points if said == "not ok"]

    @property
    def clean(self):
        return not self.failures and not self.end


def go():
    program = shutil.which("go")
    if program is None:
        sys.exit("conformance: needs Go 1.21 or newer, to build runtime-tools (apt install golang)")
    return program


def build(programs: pathlib.Path):
    """The validation programs from the Go module proxy, once. Their names."""
    if not (programs / "rootfs-amd64.tar.gz").exists():
        # Static: runtimetest runs inside the containers.
        env = dict(os.environ, GOBIN=str(programs), GOFLAGS="-buildvcs=false", CGO_ENABLED="0")
        subprocess.run([go(), "install", f"{MODULE}/validation/...@{VERSION}",
                        f"{MODULE}/cmd/runtimetest@{VERSION}"], env=env, check=True)
        cache = subprocess.run([go(), "env", "GOMODCACHE"], check=True, capture_output=True,
                               text=True)
        source = pathlib.Path(cache.stdout.strip()) / f"{MODULE}@{VERSION}"
        shutil.copy(source / "rootfs-amd64.tar.gz", programs)
    return sorted(path.name for path in programs.iterdir() if path.name not in NOT_PROGRAMS)


def cgroup2_mount():
    found = None
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, rest = line.split(" - ", 1)
        if rest.startswith("cgroup2 "):
            found = fields.split()[4]
    return found or sys.exit("conformance: this host has no cgroup2 mount")


def on_cgroup2(*command):
    """In a mount namespace where /sys/fs/cgroup is cgroup2, as on a host that has nothing else."""
    script = 'mount --bind "$0" /sys/fs/cgroup && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, cgroup2_mount(),
            *map(str, command)]


def parse(output, outcome):
    """The Test Anything Protocol, as far as these programs speak it."""
    for line in output.splitlines():
        point = re.match(r"\s*(not )?ok\b\s*\d*\s*-?\s*(.*)", line)
        if point is not None:
            skipped = re.search(r"#\s*(SKIP|TO.O)", point[2], re.IGNORECASE)
            outcome.points.append((point[2], "skip" if skipped else
                                   "not ok" if point[1] else "ok"))


def run(program: pathlib.Path, runtime: pathlib.Path, timeout_s):
    outcome = Outcome()
    # A container that goes on running may write there still.
    with tempfile.TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as scratch:
        os.chmod(scratch, 0o755)  # the root of a user namespace has to get to its bundle
        env = dict(os.environ, RUNTIME=str(runtime), TMPDIR=scratch)
        try:
            result = subprocess.run(on_cgroup2(program), env=env, cwd=program.parent,
                                    timeout=timeout_s, text=True, errors="replace",
                                    stdin=subprocess.DEVNULL, capture_output=True, check=False)
        except subprocess.TimeoutExpired as late:
            parse((late.stdout or b"").decode(errors="replace"), outcome)
            outcome.end = f"did not end within {timeout_s} s"
            remove_containers(runtime)
            return outcome
    parse(result.stdout, outcome)
    remark = re.search(r'"error": "(.*)"', result.stdout)
    if remark and not outcome.count("ok") + outcome.count("not ok"):
        outcome.end = f"says without a point: {remark[1]}"
    if result.returncode != 0 and not outcome.failures:
        words = result.stderr.strip().splitlines()
        outcome.end = f"ended with {result.returncode}: {words[-1] if words else ''}"
    return outcome


def wrap(folder: pathlib.Path, name, runtime):
    """The programs call $RUNTIME without options: a state directory of our own needs a script."""
    wrapper = folder / name
    wrapper.write_text(f'#!/bin/sh\nexec "{runtime}" --root "{folder}/{name}.state" "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def remove_containers(wrapper):
    """What a failing program left behind; their cgroups are named as the program saw them."""
    listed = subprocess.run([wrapper, "list", "--quiet"], capture_output=True, text=True,
                            check=False)
    for container in listed.stdout.split():
        subprocess.run(on_cgroup2(wrapper, "delete", "--force", container),
                       stderr=subprocess.DEVNULL, check=False)


def same_point(description):
    """A point's description without what differs from one run to the next."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+|/tmp/\S+", "*", description)


def passed_elsewhere(outcome, peer):
    """Points that fail here and pass there; the program's own end is one, too."""
    good = {same_point(what) for what, said in peer.points if said == "ok"}
    bad = {same_point(what) for what in peer.failures}
    found = [what for what in outcome.failures if same_point(what) in good - bad]
    if peer.clean and not outcome.clean and not found:
        found.append(outcome.end or outcome.failures[0])
    return found
