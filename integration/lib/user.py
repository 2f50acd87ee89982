"""A user without privileges and with subordinate ids, who exists in one private mount namespace."""

import os
import subprocess

UID = 61234
SUBORDINATE, COUNT = 700000, 65536
NAME = "coracle-user"
FILES = {
    "/etc/passwd": f"root:x:0:0:root:/root:/bin/sh\n{NAME}:x:{UID}:{UID}::{{home}}:/bin/sh\n",
    "/etc/group": f"root:x:0:\ntty:x:5:\n{NAME}:x:{UID}:\n",
    "/etc/subuid": f"{NAME}:{SUBORDINATE}:{COUNT}\n",
    "/etc/subgid": f"{NAME}:{SUBORDINATE}:{COUNT}\n",
}


class User:
    """`prefix` before a command runs it as the user."""

    def __init__(self, home):
        """`home`: a directory of root's, which becomes the user's."""
        script = []
        for number, (path, text) in enumerate(FILES.items()):
            file = home / f"etc-{number}"
            file.write_text(text.format(home=home))
            script.append(f"touch {path} && mount --bind {file} {path}")
        script.append("echo ready && exec sleep infinity")
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", " && ".join(script)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            raise RuntimeError("cannot make a user in a mount namespace")
        self.home = home
        self.runtime_directory = home / "run"
        self.runtime_directory.mkdir()
        self.own(home, self.runtime_directory)
        self.prefix = [
            "nsenter", "--target", str(self._holder.pid), "--mount", "--",
            "setpriv", "--reuid", str(UID), "--regid", str(UID), "--clear-groups",
            "--inh-caps=-all", "--", "env", f"HOME={home}", f"USER={NAME}",
            f"XDG_RUNTIME_DIR={self.runtime_directory}"]

    @staticmethod
    def own(*paths):
        subprocess.run(["chown", "-R", f"{UID}:{UID}", *map(str, paths)], check=True)

    @staticmethod
    def own_one(*paths):
        for path in paths:
            os.chown(path, UID, UID)

    def run(self, *command, **options):
        options = {"check": True, "capture_output": True, "text": True} | options
        return subprocess.run([*self.prefix, *map(str, command)], **options)

    def close(self):
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()
