"""A real registry (the distribution's docker-registry) on a free loopback port."""

import pathlib
import shutil
import socket
import subprocess
import sys
import time

from images.builder import write_oci_layout

PROGRAM = shutil.which("docker-registry")

CONFIG = """version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {directory}/storage}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}"}}
{auth}"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """`address` is HOST:PORT; close() ends the program. With a command prefix (nsenter ...) it runs
    in other namespaces; two on one directory serve the same images."""

    def __init__(self, directory, htpasswd=None, command_prefix=()):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        auth = f"auth: {{htpasswd: {{realm: test, path: {htpasswd}}}}}\n" if htpasswd else ""
        config = self.directory / f"config-{port}.yml"
        config.write_text(CONFIG.format(directory=self.directory, port=port, auth=auth))
        self._log = self.directory / f"log-{port}"
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen([*command_prefix, PROGRAM, "serve", config],
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait(command_prefix, port)

    def _wait(self, command_prefix, port):
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port})).close()"
        for _ in range(300):
            if self._process.poll() is not None:
                raise RuntimeError(f"docker-registry: {self._log.read_text()}")
            tried = subprocess.run([*command_prefix, sys.executable, "-c", connect], check=False,
                                   stderr=subprocess.DEVNULL)
            if tried.returncode == 0:
                return
            time.sleep(0.1)
        self.close()
        raise RuntimeError("docker-registry does not answer")

    def push(self, repository, image, tag="latest", compression="gzip", credentials=None):
        """Pushes an Image (or a list: an index) and returns its reference."""
        layout = self.directory / "layouts" / repository.replace("/", "-")
        write_oci_layout(layout, {tag: image}, compression)
        return self.push_layout(repository, layout, tag, credentials)

    def push_layout(self, repository, layout, tag, credentials=None):
        reference = f"{self.address}/{repository}:{tag}"
        command = ["skopeo", "--insecure-policy", "copy", "--all", "--quiet",
                   "--dest-tls-verify=false", f"oci:{layout}:{tag}", f"docker://{reference}"]
        if credentials:
            command.insert(4, f"--dest-creds={credentials}")
        subprocess.run(command, check=True, capture_output=True)
        return reference

    def close(self):
        self._process.terminate()
        self._process.wait()
