#!/usr/bin/python3
"""`make demo`: a container from a bundle, then a pod through the CRI, every command shown.

Everything lies in a temporary directory and in namespaces of its own; nothing is left.
"""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

INTEGRATION = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(INTEGRATION))

from cri_caller import Crictl, OwnClient  # noqa: E402
from images.builder import write_docker_archive  # noqa: E402
from images.catalog import busybox  # noqa: E402
from images.registry import Registry  # noqa: E402
from lib.space import Space  # noqa: E402
from lib.wait import wait_until  # noqa: E402

CRICTL_MODULE = "sigs.k8s.io/cri-tools/cmd/crictl@v1.36.0"
NEEDED_CONTROLLERS = {"memory", "cpu", "pids"}
POD_SCRIPT = "echo serving; trap 'echo bye; exit 0' TERM; while :; do sleep 0.2; done"
BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def say(text):
    print(f"\n{BOLD}# {text}{PLAIN}", flush=True)


def show(command, shown=None, **options):
    """Runs a command as a person would type it, with its output."""
    print(f"$ {shown or shlex.join(map(str, command))}", flush=True)
    subprocess.run(list(map(str, command)), check=True, **options)


def has_controllers():
    controllers = pathlib.Path("/sys/fs/cgroup/cgroup.controllers")
    return controllers.exists() and NEEDED_CONTROLLERS <= set(controllers.read_text().split())


def bundle_demo(build):
    """An image becomes a bundle, the bundle a container: no daemon, no other tool."""
    coracle = build / "bin/coracle"
    with tempfile.TemporaryDirectory(prefix="coracle-demo-") as name:
        directory = pathlib.Path(name)
        write_docker_archive(directory / "busybox.tar", {"demo/busybox:1": busybox()})

        def run(*arguments):
            words = [str(word).replace(f"{directory}/", "") for word in arguments]
            root = [] if arguments[0] == "image" else ["--root", directory / "run"]
            if arguments[0] == "image":
                arguments = ("image", "--root", directory / "store", *arguments[1:])
            show([coracle, *root, *arguments], f"coracle {shlex.join(words)}", cwd=directory)

        say("A bundle from an image, and what `coracle run` will do with it")
        run("image", "load", "-i", "busybox.tar")
        run("image", "bundle", "demo/busybox:1", "bundle", "--", "sh", "-c",
            "echo hello from $(hostname), process $$ of this container")
        run("explain", "bundle")
        say("The container")
        run("run", "-b", "bundle", "hello")


def find_crictl(build):
    """The real one: named, on PATH, or installed as its users do it; None where that fails."""
    tools = build / "tools"
    for candidate in (os.environ.get("CRICTL"), shutil.which("crictl"), tools / "crictl"):
        if candidate and pathlib.Path(candidate).exists():
            return str(candidate)
    if shutil.which("go") is None:
        print("crictl is not here and there is no go to install it: our own client calls instead")
        return None
    environment = os.environ | {"GOBIN": str(tools)}
    result = subprocess.run(["go", "install", CRICTL_MODULE], env=environment,
                            capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return str(tools / "crictl")
    reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
    print(f"crictl cannot be installed ({reason}): our own client makes the same calls")
    return None


class Stage:
    """A registry and coracled in namespaces of their own."""

    def __init__(self, build, directory):
        self.directory, self.space = directory, Space()
        self.socket = directory / "coracle.sock"
        pushed = Registry(directory / "registry")
        pushed.push("busybox", busybox())
        pushed.close()
        self.registry = Registry(directory / "registry", command_prefix=self.space.prefix)
        network = {"cniVersion": "1.0.0", "name": "demo", "plugins": [
            {"type": "bridge", "bridge": "demo0", "isGateway": True, "ipam": {
                "type": "host-local", "ranges": [[{"subnet": "10.99.0.0/24"}]],
                "dataDir": str(directory / "leases")}}]}
        (directory / "net.d").mkdir()
        (directory / "net.d/10-demo.conflist").write_text(json.dumps(network))
        command = [build / "bin/coracled", "--root", directory / "root", "--state",
                   directory / "state", "--listen", self.socket, "--cni-conf-dir",
                   directory / "net.d", "--config", directory / "coracled.toml"]
        (directory / "coracled.toml").write_text('log_level = "info"\n')
        with open(directory / "coracled.log", "wb") as log:
            self.daemon = subprocess.Popen([*self.space.prefix, *map(str, command)], stdout=log,
                                           stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: self.socket.exists() or self.daemon.poll() is not None, "coracled")
        if self.daemon.poll() is not None:
            sys.exit((directory / "coracled.log").read_text())

    def close(self):
        self.daemon.terminate()
        self.daemon.wait()
        self.registry.close()
        self.space.close()


def write_requests(directory, image):
    pod, container = directory / "pod.json", directory / "container.json"
    pod.write_text(json.dumps({
        "metadata": {"name": "web", "namespace": "default", "uid": "demo-1", "attempt": 0},
        "hostname": "web", "log_directory": str(directory / "logs"),
        "linux": {"cgroup_parent": "/demo"}}, indent=2))
    labels = {"io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "default"}
    container.write_text(json.dumps({
        "metadata": {"name": "server"}, "image": {"image": image}, "labels": labels,
        "command": ["sh", "-c", POD_SCRIPT], "log_path": "server.log",
        "linux": {"resources": {"memory_limit_in_bytes": 64 << 20, "cpu_period": 100000,
                                "cpu_quota": 50000, "unified": {"pids.max": "32"}}}}, indent=2))
    return pod, container


def pod_demo(build, crictl):
    with tempfile.TemporaryDirectory(prefix="coracle-demo-") as name:
        directory = pathlib.Path(name)
        say("A registry on loopback, and coracled")
        stage = Stage(build, directory)
        try:
            mounts = stage.space.mounts()
            if crictl:
                call = Crictl(crictl, stage.socket)
            else:
                call = OwnClient(stage.socket, build / "test-python")
            call.version()
            image = f"{stage.registry.address}/busybox:latest"
            call.pull(image)
            pod_file, container_file = write_requests(directory, image)
            say("A pod with a network, a container with limits")
            pod = call.runp(pod_file)
            container = call.create(pod, container_file, pod_file)
            call.start(container)
            call.list()
            log = directory / "logs/server.log"
            wait_until(lambda: log.exists() and "serving" in log.read_text(), "its first line")
            call.logs(container, log)
            say("From inside: its name, address and limits")
            call.exec(container, "sh", "-c", "hostname; ip -4 -o addr show eth0; "
                      "cd /sys/fs/cgroup; grep . memory.max cpu.max pids.max")
            call.stats(container)
            call.inspect(container)
            say("The end")
            call.stop(container)
            call.inspect(container)
            call.remove(pod, container)
            left = set(stage.space.mounts()) - set(mounts)
            shims = [line for line in stage.space.processes().values() if "coracle-shim" in line]
            if left or shims:
                sys.exit(f"left behind: {left} {shims}")
            print("\nNo mount, no process, no network is left.")
        finally:
            stage.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--pod-only", action="store_true")
    parser.add_argument("--crictl")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    if os.geteuid() != 0:
        sys.exit("demo: containers need root: run `sudo make demo`")
    if arguments.pod_only:
        return pod_demo(build, arguments.crictl)
    bundle_demo(build)
    crictl = find_crictl(build)
    if has_controllers():
        return pod_demo(build, crictl)
    say("This host's cgroup v2 lacks memory, cpu or pids: the pod runs in a VM that has them")
    command = [INTEGRATION / "vm/run", "--", "/usr/bin/python3", __file__, build, "--pod-only"]
    command += ["--crictl", crictl] if crictl else []
    sys.exit(subprocess.run(list(map(str, command)), check=False).returncode)


if __name__ == "__main__":
    main()
