"""The demo's calls of the CRI: through the real crictl, or the same ones through our own client."""

import json
import shlex
import subprocess

from google.protobuf import json_format

from cri.client import Client, generate


def print_status(status):
    """The few lines of `inspect` that a demonstration is about."""
    limits = status.get("resources", {}).get("linux", {})
    shown = {name: status.get(name) for name in ("state", "finishedAt", "exitCode", "reason")}
    shown["limits"] = {name: limits.get(name) for name in ("memoryLimitInBytes", "cpuQuota")}
    print("".join(f"  {name}: {json.dumps(value)}\n" for name, value in shown.items()), end="")


def short(text):
    """Ids as people see them: 13 digits are enough."""
    return text[:13]


class Crictl:
    def __init__(self, program, socket):
        self._command = [program, "--config", "/dev/null", "--timeout", "60s",
                         "--runtime-endpoint", f"unix://{socket}", "--image-endpoint",
                         f"unix://{socket}"]

    def _run(self, *arguments, quiet=False):
        words = [str(word).rsplit("/", 1)[-1] if str(word).endswith(".json") else
                 short(str(word)) if len(str(word)) == 64 else str(word) for word in arguments]
        print(f"$ crictl {shlex.join(words)}", flush=True)
        result = subprocess.run([*self._command, *map(str, arguments)], stdout=subprocess.PIPE,
                                text=True, check=True)
        if not quiet:  # `crictl stats` clears the screen first
            print(result.stdout.removeprefix("\033[2J\033[H"), end="", flush=True)
        return result.stdout.strip()

    def version(self):
        self._run("version")

    def pull(self, image):
        self._run("pull", image)

    def runp(self, pod_file):
        return self._run("runp", pod_file)

    def create(self, pod, container_file, pod_file):
        return self._run("create", pod, container_file, pod_file)

    def start(self, container):
        self._run("start", container)

    def list(self):
        self._run("pods")
        self._run("ps")

    def logs(self, container, _log_file):
        self._run("logs", container)

    def exec(self, container, *command):
        self._run("exec", "-s", container, *command)

    def stats(self, _container):
        self._run("stats")

    def inspect(self, container):
        print_status(json.loads(self._run("inspect", container, quiet=True))["status"])

    def stop(self, container):
        self._run("stop", "--timeout", "10", container)

    def remove(self, pod, container):
        self._run("rm", container)
        self._run("stopp", pod)
        self._run("rmp", pod)


class OwnClient:
    """Each method makes the RPCs that crictl makes for it."""

    def __init__(self, socket, generated):
        generate(generated)
        self._client = Client(socket)
        self._sandbox_config = {}

    def _call(self, method, show=True, **fields):
        print(f"$ {method}", flush=True)
        response = getattr(self._client, method)(**fields)
        if show:
            shown = json_format.MessageToDict(response)
            print("".join(f"  {key}: {json.dumps(value)}\n" for key, value in shown.items()),
                  end="", flush=True)
        return response

    def version(self):
        self._call("Version")

    def pull(self, image):
        self._call("PullImage", image={"image": image})

    def runp(self, pod_file):
        self._sandbox_config = json.loads(pod_file.read_text())
        return self._call("RunPodSandbox", config=self._sandbox_config).pod_sandbox_id

    def create(self, pod, container_file, _pod_file):
        return self._call("CreateContainer", pod_sandbox_id=pod,
                          config=json.loads(container_file.read_text()),
                          sandbox_config=self._sandbox_config).container_id

    def start(self, container):
        self._call("StartContainer", container_id=container)

    def list(self):
        self._call("ListPodSandbox")
        self._call("ListContainers")

    def logs(self, _container, log_file):
        print(f"$ cat {log_file.name}\n{log_file.read_text()}", end="")

    def exec(self, container, *command):
        response = self._call("ExecSync", show=False, container_id=container, cmd=list(command))
        print(response.stdout.decode(), end="")

    def stats(self, container):
        self._call("ContainerStats", container_id=container)

    def inspect(self, container):
        status = self._call("ContainerStatus", show=False, container_id=container).status
        print_status(json_format.MessageToDict(status))

    def stop(self, container):
        self._call("StopContainer", container_id=container, timeout=10)

    def remove(self, pod, container):
        self._call("RemoveContainer", container_id=container)
        self._call("StopPodSandbox", pod_sandbox_id=pod)
        self._call("RemovePodSandbox", pod_sandbox_id=pod)
