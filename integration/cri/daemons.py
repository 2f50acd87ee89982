"""CRI daemons under test, each with directories of its own inside a private Space. coracled is
what we test; containerd (CRI_DAEMON=/path/to/containerd) proves the tests."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

from cri.client import Client
from lib.wait import wait_until

CNI_PLUGINS = [path for path in ("/opt/cni/bin", "/usr/lib/cni") if os.path.isdir(path)]
REGISTRY_NAME = "registry.test"  # in image references; hosts.toml leads it to a loopback port
HOSTS_TOML = """server = "http://{address}"
[host."http://{address}"]
capabilities = ["pull", "resolve"]
"""
CONTAINERD_CONFIG = """version = 3
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
address = "{socket}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
enable_unprivileged_ports = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = {cni_plugins}
conf_dir = "{directory}/cni"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{registry}/pause:latest"
[plugins."io.containerd.cri.v1.images".registry]
config_path = "{directory}/registries"
"""


class Daemon:
    """Directories, start, kill and the client of one daemon."""

    name = "daemon"
    runtime_name = "containerd"  # as Version says it

    def __init__(self, directory, space, registry, subnet="10.88.0.0/16"):
        self.directory, self.space = pathlib.Path(directory), space
        self.socket = self.directory / "cri.sock"
        self.root, self.state = self.directory / "root", self.directory / "state"
        self.cni_conf_dir = self.directory / "cni"
        self.log = self.directory / "daemon.log"
        for path in (self.root, self.state, self.cni_conf_dir):
            path.mkdir(parents=True, exist_ok=True)
        self._write_network(subnet)
        hosts = self.directory / "registries" / REGISTRY_NAME
        hosts.mkdir(parents=True, exist_ok=True)
        (hosts / "hosts.toml").write_text(HOSTS_TOML.format(address=registry.address))
        self._process, self.client = None, None

    def _write_network(self, subnet):
        bridge = f"br-{self.directory.name[-8:]}"
        network = {
            "cniVersion": "1.0.0", "name": f"net-{self.directory.name[-8:]}", "plugins": [
                {"type": "bridge", "bridge": bridge, "isGateway": True, "ipMasq": False,
                 "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]],
                          "routes": [{"dst": "0.0.0.0/0"}],
                          "dataDir": str(self.directory / "ipam")}},
                {"type": "portmap", "capabilities": {"portMappings": True}}]}
        (self.cni_conf_dir / "10-test.conflist").write_text(json.dumps(network))

    def command(self):
        raise NotImplementedError

    def start(self):
        """Starts the program and waits until it answers."""
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen([*self.space.prefix, *map(str, self.command())],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.client = Client(self.socket)

        def answers():
            if self._process.poll() is not None:
                raise AssertionError(f"{self.name} ended: {self.log.read_text()[-4000:]}")
            try:
                return self.client.Version(timeout_s=2)
            except Exception:  # pylint: disable=broad-except  # whatever: not ready yet
                self.client.close()
                self.client = Client(self.socket)
                return None

        wait_until(answers, f"{self.name} answers on {self.socket}")
        return self

    @property
    def pid(self):
        return self._process.pid  # nsenter executes the daemon in its own process

    @property
    def alive(self):
        return self._process is not None and self._process.poll() is None

    def stop(self, with_signal=signal.SIGTERM):
        """Ends the daemon only; its pods go on."""
        if self.client:
            self.client.close()
        if self.alive:
            self._process.send_signal(with_signal)
        return self._process.wait(timeout=60) if self._process else None

    def kill(self):
        self.stop(signal.SIGKILL)

    def remove_everything(self):
        """Every pod, through the CRI."""
        for pod in self.client.ListPodSandbox().items:
            self.client.StopPodSandbox(pod_sandbox_id=pod.id)
            self.client.RemovePodSandbox(pod_sandbox_id=pod.id)


class Coracled(Daemon):
    name = "coracled"
    runtime_name = "coracle"

    def __init__(self, directory, space, registry, build_dir, **options):
        super().__init__(directory, space, registry, **options)
        self.program = build_dir / "bin/coracled"
        self.config = self.directory / "coracled.toml"
        # The host may hold its controllers with cgroup v1; limits are tested in the VM.
        self.config.write_text('[cgroup]\nmissing_controllers = "warn"\n')

    def command(self):
        return [self.program, "--config", self.config, "--root", self.root, "--state", self.state,
                "--listen", self.socket, "--cni-conf-dir", self.cni_conf_dir, "--cni-bin-dir",
                CNI_PLUGINS[-1], "--registry-config", self.directory / "registries",
                "--log-level", "debug"]


class Containerd(Daemon):
    name = "containerd"

    def __init__(self, directory, space, registry, program, **options):
        super().__init__(directory, space, registry, **options)
        self.program = program
        (self.directory / "config.toml").write_text(CONTAINERD_CONFIG.format(
            directory=self.directory, socket=self.socket, cni_plugins=json.dumps(CNI_PLUGINS),
            registry=REGISTRY_NAME))

    def command(self):
        folder = pathlib.Path(self.program).parent
        return ["env", f"PATH={folder}:{os.environ['PATH']}", self.program, "--config",
                self.directory / "config.toml"]


def make_daemon(directory, space, registry, build_dir, **options):
    """The daemon that this run tests."""
    other = os.environ.get("CRI_DAEMON")
    if other:
        return Containerd(directory, space, registry, shutil.which(other) or other, **options)
    return Coracled(directory, space, registry, build_dir, **options)
