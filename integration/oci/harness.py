"""Drives an OCI runtime through its command line, and looks at its containers from outside and,
with the guest program `probe`, from inside."""

import contextlib
import copy
import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

from lib.wait import wait_until

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

BASE = {
    "ociVersion": "1.0.2",
    "process": {"user": {"uid": 0, "gid": 0}, "args": ["/probe"], "env": [PATH], "cwd": "/"},
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
         "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {"namespaces": [{"type": kind} for kind in
                             ("pid", "network", "mount", "ipc", "uts", "cgroup")]},
}


def cgroup_mount():
    """Where cgroup2 is mounted; the last mount wins, as it hides the others."""
    found = None
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            found = found if found and fields[4] != "/sys/fs/cgroup" else fields[4]
    return pathlib.Path(found) if found else None


def controllers():
    mount = cgroup_mount()
    return set((mount / "cgroup.controllers").read_text().split()) if mount else set()


def alive(pid):
    """A process that is dead but not yet reaped is not alive."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rsplit(")", 1)[1].split()[0] not in "ZX"


def facts(text):
    """All objects that a probe printed, as one."""
    merged = {}
    for line in text.splitlines():
        if line.startswith("{"):
            merged |= json.loads(line)
    return merged


def mount_options(mountinfo, destination):
    """(options of the mount, type, options of the file system, propagation) of what is last
    mounted there, or None."""
    found = None
    for line in mountinfo:
        fields = line.split()
        dash = fields.index("-")
        if fields[4] == destination:
            found = (set(fields[5].split(",")), fields[dash + 1],
                     set(fields[dash + 3].split(",")), fields[6:dash])
    return found


class Runtime:
    def __init__(self, program, directory):
        self.program, self.root = program, directory / "state"
        self.prefix = []  # a program that executes the runtime
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        self.name = version.stdout.split()[0]

    def command(self, *words, before=()):
        return [*self.prefix, self.program, "--root", str(self.root), *map(str, before),
                *map(str, words)]

    def __call__(self, *words, code=0, before=(), **options):
        """Runs one verb to its end. `code` None: any exit code."""
        options = {"capture_output": True, "text": True, "timeout": 60,
                   "stdin": None if "input" in options else subprocess.DEVNULL} | options
        done = subprocess.run(self.command(*words, before=before), check=False, **options)
        if code is not None:
            told = f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
            assert done.returncode == code, told
        return done

    def detached(self, *words):
        """A verb whose process outlives it, and would hold our pipe."""
        return self(*words, capture_output=False, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)

    def fails(self, *words, **options):
        """What a verb that must fail says on standard error."""
        done = self(*words, code=None, **options)
        assert done.returncode != 0, f"{words} succeeded: {done.stdout}"
        return done.stderr


class Container:
    """A container that `create` or `run --detach` has made."""

    def __init__(self, runtime, name, output):
        self.runtime, self.id, self.output = runtime, name, output

    def state(self):
        return json.loads(self.runtime("state", self.id).stdout)

    def status(self):
        return self.state()["status"]

    def pid(self):
        return self.state()["pid"]

    def start(self):
        self.runtime("start", self.id)
        return self

    def kill(self, signal="KILL", *words):
        self.runtime("kill", *words, self.id, signal)

    def delete(self, *words):
        self.runtime("delete", *words, self.id)

    def wait(self, status="stopped"):
        wait_until(lambda: self.status() == status, f"{self.id} is {status}")

    def exec(self, *words, options=(), code=0):
        """Facts that a second probe sees."""
        return facts(self.runtime("exec", *options, self.id, "/probe", *words, code=code).stdout)

    def text(self):
        return self.output.read_text(errors="replace")

    def facts(self):
        return facts(self.text())

    def wait_facts(self, *keys):
        """Facts of a process that goes on running."""
        def complete():
            found = self.facts()
            return found if all(key in found for key in keys) else None
        return wait_until(complete, f"{self.id} shows {keys}")


class Bundle:
    """A bundle whose only program is the probe, and the containers made of it."""

    def __init__(self, runtime, directory, probe, cgroup_parent):
        self.runtime, self.path = runtime, directory / "bundle"
        self.rootfs = self.path / "rootfs"
        self.rootfs.mkdir(parents=True)
        self.cgroup_parent = cgroup_parent
        for name in ("proc", "dev", "sys", "tmp", "etc", "data"):
            (self.rootfs / name).mkdir()
        (self.rootfs / "tmp").chmod(0o1777)
        shutil.copy(probe, self.rootfs / "probe")
        (self.rootfs / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n"
                                                "app:x:1000:1000:app:/home/app:/bin/sh\n")
        self.spec = copy.deepcopy(BASE)
        self.must_be_clean = True
        self._counter = itertools.count()
        self.made = []
        self.new_id()

    @property
    def process(self):
        return self.spec["process"]

    @property
    def linux(self):
        return self.spec["linux"]

    def new_id(self):
        self.id = f"t{os.getpid()}-{next(self._counter)}"
        self.linux["cgroupsPath"] = f"{self.cgroup_parent}/{self.id}"
        return self.id

    @property
    def cgroup(self):
        return cgroup_mount() / self.linux["cgroupsPath"].lstrip("/")

    def namespaces(self, *kinds):
        self.linux["namespaces"] = [{"type": kind} if isinstance(kind, str) else kind
                                    for kind in kinds]

    def without_namespace(self, kind):
        self.linux["namespaces"] = [ns for ns in self.linux["namespaces"] if ns["type"] != kind]

    def with_user_namespace(self, host_id=100000, size=65536):
        self.linux["namespaces"].append({"type": "user"})
        mapping = [{"containerID": 0, "hostID": host_id, "size": size}]
        self.linux["uidMappings"] = self.linux["gidMappings"] = mapping
        for directory, _, files in os.walk(self.rootfs):
            for name in [".", *files]:
                os.lchown(os.path.join(directory, name), host_id, host_id)

    def mount(self, destination, **members):
        self.spec["mounts"].append({"destination": destination} | members)

    def write(self, *words):
        """Writes config.json, for a probe with these words."""
        if words:
            self.process["args"] = ["/probe", *words]
        (self.path / "config.json").write_text(json.dumps(self.spec))

    def run(self, *words, code=0, options=(), **how):
        """Facts that a probe in a container of its own shows."""
        return facts(self.run_text(*words, code=code, options=options, **how).stdout)

    def run_text(self, *words, code=0, options=(), **how):
        self.write(*words)
        name = self.new_container()
        return self.runtime("run", *options, "--bundle", self.path, name, code=code, **how)

    def new_container(self):
        """A name of which the config.json on disk does not speak yet."""
        name = self.new_id()
        self.write()
        self.made.append(name)
        return name

    def create(self, *words, options=(), verb=("create",), **how):
        """The output of the process goes to a file: its pipe would outlive the verb."""
        self.write(*(words or ("sleep",)))
        name = self.new_container()
        output = self.path / f"output-{name}"
        with open(output, "w") as sink:
            done = subprocess.run(
                self.runtime.command(*verb, *options, "--bundle", self.path, name), check=False,
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, timeout=60, **how)
        assert done.returncode == 0, output.read_text()
        return Container(self.runtime, name, output)

    def start(self, *words, options=(), **how):
        return self.create(*words, options=options, **how).start()

    def refused(self, *words, verb="create"):
        """What `create` says against this bundle; it must leave nothing behind."""
        self.write(*words)
        name = self.new_container()
        with open(self.path / "output", "w+") as sink:
            done = subprocess.run(
                self.runtime.command(verb, "--bundle", self.path, name), check=False, timeout=60,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=sink)
            sink.seek(0)
            message = sink.read()
        assert done.returncode != 0, f"{verb} succeeded"
        assert not (self.must_be_clean and self.leftovers(name)), self.leftovers(name)
        return message

    def leftovers(self, name):
        """What of a container that is gone is still there."""
        left = []
        if (self.runtime.root / name).exists():
            left.append(f"state {sorted(os.listdir(self.runtime.root / name))}")
        cgroup = cgroup_mount() / self.cgroup_parent.lstrip("/") / name
        if cgroup.exists():
            left.append(f"cgroup {cgroup}")
        mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        left += re.findall(rf"^.*{re.escape(str(self.path))}.*$", mounts, re.MULTILINE)
        return left

    def close(self):
        for name in self.made:
            self.runtime("delete", "--force", name, code=None)
        left = [thing for name in self.made for thing in self.leftovers(name)]
        with contextlib.suppress(OSError):
            (cgroup_mount() / self.cgroup_parent.lstrip("/")).rmdir()
        return left


class ConsoleSocket:
    """Takes the master of a terminal, as conmon and containerd do."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen()

    def master(self):
        self.listener.settimeout(60)
        connection, _ = self.listener.accept()
        connection.settimeout(60)
        _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
        connection.close()
        return descriptors[0]

    def close(self):
        self.listener.close()


def read_all(descriptor):
    """What a terminal shows until nobody has it open any more."""
    text = b""
    with contextlib.suppress(OSError):  # EIO: the last slave is closed
        while data := os.read(descriptor, 65536):
            text += data
    os.close(descriptor)
    return text.decode(errors="replace")
