"""A containerd of one's own in a private Space, with our shim and our runtime configured."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

from images.builder import Image, write_docker_archive
from lib.space import Space
from lib.wait import wait_until

NAMESPACE = "k8s.io"
PAUSE_IMAGE = "docker.io/library/pause:test"
BUSYBOX_IMAGE = "docker.io/library/busybox:test"
CNI_PLUGINS = [path for path in ("/opt/cni/bin", "/usr/lib/cni") if os.path.isdir(path)]
SHIM = "io.containerd.coracle.v2"

# Version 1 knows another plugin name for its CRI, and hands over only ConfigPath of the options.
CONFIG = """version = {version}
root = "{directory}/root"
state = "/run/containerd/state"
disabled_plugins = {disabled}
[grpc]
address = "{socket}"
[plugins."{cri}"]
{images}
restrict_oom_score_adj = true
enable_unprivileged_ports = true
[plugins."{cri}".cni]
{cni_bin}
conf_dir = "{directory}/cni"
[plugins."{cri}".containerd]
default_runtime_name = "coracle"
[plugins."{cri}".containerd.runtimes.coracle]
runtime_type = "{shim}"
[plugins."{cri}".containerd.runtimes.coracle.options]
ConfigPath = "{directory}/coracle-options.toml"
[plugins."{cri}".containerd.runtimes.binary]
runtime_type = "io.containerd.runc.v2"
[plugins."{cri}".containerd.runtimes.binary.options]
BinaryName = "{binary}"
{pinned}
"""
OPTIONS = "ignore_missing_controllers = true\n"
NETWORK = {"cniVersion": "1.0.0", "name": "shim-test", "plugins": [
    {"type": "bridge", "bridge": "br-shim", "isGateway": True,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.89.0.0/16"}]]}}]}


def programs():
    """{label: path} of every containerd to test: CONTAINERD= (several, by colons), or PATH's."""
    named = os.environ.get("CONTAINERD", "").split(":")
    found = [shutil.which(name) for name in [*named, "containerd"] if name]
    return {pathlib.Path(path).parent.name + "/" + version(path): path for path in found if path}


def version(program):
    words = subprocess.run([program, "--version"], capture_output=True, text=True,
                           check=True).stdout.split()
    return words[2].removeprefix("v")


class Containerd:
    """`self.ctr(...)` runs its client; `self.socket` is its CRI."""

    def __init__(self, directory, program, build_dir, images):
        self.directory, self.program = pathlib.Path(directory), pathlib.Path(program)
        self.build_dir, self.images = build_dir, images
        self.socket = self.directory / "containerd.sock"
        self.log = self.directory / "containerd.log"
        self.is_version_1 = version(program).startswith("1.")
        self.space = Space()
        # Sockets of shims are in /run/containerd/s, state in /run: both of our own.
        self.space.run("mount", "-t", "tmpfs", "tmpfs", "/run")
        self._process = None
        self._configure()

    def _configure(self):
        for name in ("root", "cni", "bin"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        (self.directory / "cni/10-test.conflist").write_text(json.dumps(NETWORK))
        (self.directory / "coracle-options.toml").write_text(OPTIONS)
        # Found on PATH under the name that containerd makes of the runtime's.
        (self.directory / "bin/containerd-shim-coracle-v2").symlink_to(
            self.build_dir / "bin/coracle-shim")
        one = self.is_version_1
        (self.directory / "config.toml").write_text(CONFIG.format(
            version=2 if one else 3, directory=self.directory, socket=self.socket, shim=SHIM,
            binary=self.build_dir / "bin/coracle",
            cri="io.containerd.grpc.v1.cri" if one else "io.containerd.cri.v1.runtime",
            disabled="[]" if one else '["io.containerd.internal.v1.opt"]',
            images=f'sandbox_image = "{PAUSE_IMAGE}"' if one else "",
            cni_bin=f'bin_dir = "{CNI_PLUGINS[-1]}"' if one
            else f"bin_dirs = {json.dumps(CNI_PLUGINS)}",
            pinned="" if one else '[plugins."io.containerd.cri.v1.images".pinned_images]\n'
            f'sandbox = "{PAUSE_IMAGE}"'))

    def start(self):
        folders = f"{self.directory}/bin:{self.program.parent}:{os.environ['PATH']}"
        # The host may hold its controllers with cgroup v1: limits are tested elsewhere.
        environment = [f"PATH={folders}", "CORACLE_IGNORE_MISSING_CONTROLLERS=1"]
        command = [*self.space.prefix, "env", *environment, self.program, "--config",
                   self.directory / "config.toml"]
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log)

        def answers():
            assert self._process.poll() is None, self.log.read_text()[-4000:]
            return self.ctr("version", check=False).returncode == 0

        wait_until(answers, "containerd answers")
        return self

    def import_images(self):
        archive = self.directory / "images.tar"
        write_docker_archive(archive, {BUSYBOX_IMAGE: self.images["busybox"],
                                       PAUSE_IMAGE: self.images["pause"]})
        self.ctr("images", "import", archive)

    def ctr(self, *arguments, check=True, namespace=NAMESPACE, **options):
        client = shutil.which("ctr", path=self.program.parent) or "ctr"
        command = [*self.space.prefix, client, "--address", self.socket, "--namespace", namespace,
                   *arguments]
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                                timeout=60, check=False, **options)
        assert not check or result.returncode == 0, (arguments, result.stdout, result.stderr)
        return result

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self):
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=60)
        self.space.close()


def pause_image(busybox):
    """containerd wants a pause image; a program that sleeps is enough."""
    return Image(busybox.layers, {"Cmd": ["sleep", "1000000"]})
