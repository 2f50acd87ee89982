"""Pods and containers as the tests need them: short requests, cleaned up afterwards."""

import base64
import itertools
import os
import pathlib

import grpc

from cri.daemons import REGISTRY_NAME
from lib.wait import wait_until

RUNNING, EXITED = "CONTAINER_RUNNING", "CONTAINER_EXITED"
_numbers = itertools.count()


def image(name="busybox"):
    return f"{REGISTRY_NAME}/{name}:latest"


def merge(base, extra):
    """`base` with `extra` laid over it, dictionaries member by member."""
    merged = dict(base)
    for key, value in extra.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


class Container:
    def __init__(self, pod, container_id, config):
        self.pod, self.id, self.config = pod, container_id, config
        self.log_path = pathlib.Path(pod.config["log_directory"]) / config["log_path"]

    @property
    def client(self):
        return self.pod.daemon.client

    def start(self):
        self.client.StartContainer(container_id=self.id)
        return self

    def status(self, verbose=False):
        response = self.client.ContainerStatus(container_id=self.id, verbose=verbose)
        return response if verbose else response.status

    def state(self):
        status = self.status()
        return status.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[
            status.state].name

    def wait(self):
        """The status once the container has exited."""
        return wait_until(lambda: self.state() == EXITED and self.status(), f"{self.id} exits")

    def exec(self, *command, timeout=0):
        return self.client.ExecSync(container_id=self.id, cmd=list(command), timeout=timeout)

    def output(self, *command):
        """What a command inside prints; it must succeed."""
        result = self.exec(*command)
        assert result.exit_code == 0, (command, result.exit_code, result.stderr)
        return result.stdout.decode()

    def log(self):
        """[(stream, tag, text)] of the CRI log file."""
        if not self.log_path.exists():
            return []
        return [tuple(line.split(" ", 3)[1:]) for line in self.log_path.read_text().splitlines()]

    def log_text(self):
        return "".join(text + ("\n" if tag == "F" else "") for _, tag, text in self.log())

    def stop(self, timeout=0):
        self.client.StopContainer(container_id=self.id, timeout=timeout)

    def remove(self):
        self.client.RemoveContainer(container_id=self.id)


class Pod:
    """A running pod; `config` is the PodSandboxConfig in JSON form."""

    def __init__(self, daemon, **config):
        self.daemon = daemon
        number = next(_numbers)
        logs = daemon.directory / f"logs/{number}"
        base = {"metadata": {"name": f"pod-{number}", "uid": f"uid-{os.getpid()}-{number}",
                             "namespace": "default", "attempt": 0},
                "log_directory": str(logs), "hostname": f"pod-{number}", "linux": {}}
        self.config = merge(base, config)
        self.id = daemon.client.RunPodSandbox(config=self.config).pod_sandbox_id

    def status(self, verbose=False):
        response = self.daemon.client.PodSandboxStatus(pod_sandbox_id=self.id, verbose=verbose)
        return response if verbose else response.status

    def create(self, *command, image_name="busybox", **config):
        number = next(_numbers)
        base = {"metadata": {"name": f"container-{number}", "attempt": 0},
                "image": {"image": image(image_name)}, "log_path": f"{number}.log", "linux": {}}
        if command:
            base["command"] = list(command)
        config = merge(base, config)
        for variable in config.get("envs", []):  # bytes, so base64 in JSON
            variable["value"] = base64.b64encode(variable["value"].encode()).decode()
        created = self.daemon.client.CreateContainer(
            pod_sandbox_id=self.id, config=config, sandbox_config=self.config)
        return Container(self, created.container_id, config)

    def run(self, *command, **options):
        """Creates and starts; of busybox without a command: sleeps until it is told to end."""
        if not command and "image_name" not in options:
            command = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
        return self.create(*command, **options).start()

    def run_to_end(self, *command, **options):
        container = self.run(*command, **options)
        return container, container.wait()

    def stop(self):
        self.daemon.client.StopPodSandbox(pod_sandbox_id=self.id)

    def remove(self):
        try:
            self.stop()
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.NOT_FOUND:
                raise
        self.daemon.client.RemovePodSandbox(pod_sandbox_id=self.id)
