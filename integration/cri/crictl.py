"""The real crictl, where it is on PATH or CRICTL= names it."""

import json
import os
import shutil
import subprocess

PROGRAM = os.environ.get("CRICTL") or shutil.which("crictl")
MISSING = "crictl is not on PATH and CRICTL= does not name it"


class Crictl:
    def __init__(self, socket):
        self._prefix = [PROGRAM, "--config", "/dev/null", "--timeout", "60s", "--runtime-endpoint",
                        f"unix://{socket}", "--image-endpoint", f"unix://{socket}"]

    def command(self, *arguments):
        return [*self._prefix, *map(str, arguments)]

    def run(self, *arguments, check=True):
        result = subprocess.run(self.command(*arguments), capture_output=True, text=True,
                                check=False)
        if check:
            assert result.returncode == 0, f"crictl {arguments}: {result.stdout}{result.stderr}"
        return result

    def __call__(self, *arguments):
        return self.run(*arguments).stdout.strip()

    def json(self, verb, *arguments):
        return json.loads(self(verb, "-o", "json", *arguments))
