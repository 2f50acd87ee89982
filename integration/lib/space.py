"""A private mount and network namespace that outlives the programs run in it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess


class Space:
    """`prefix` before a command runs it inside. close() kills every process left inside."""

    def __init__(self):
        script = "ip link set lo up && echo ready && exec sleep infinity"
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self._holder.stdout.readline() != "ready\n":
            raise RuntimeError("cannot make a mount and network namespace")
        self.pid = self._holder.pid
        self.prefix = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--"]

    def run(self, *command, **options):
        options = {"check": True, "capture_output": True, "text": True} | options
        return subprocess.run([*self.prefix, *command], **options)

    def mounts(self):
        """What is mounted inside: root, mount point and options of each mount."""
        lines = pathlib.Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()
        return sorted(" ".join(line.split()[3:6]) for line in lines)

    def links(self):
        return sorted(link["ifname"] for link in json.loads(self.run("ip", "-json", "link").stdout))

    def processes(self):
        """Processes in our network namespace besides the holder, and those they contain:
        {pid: command line}."""
        mine = {pathlib.Path(f"/proc/{self.pid}/ns/{kind}").readlink() for kind in ("mnt", "net")}
        parents, inside = {}, set()
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                pid = int(process.name)
                status = process.joinpath("stat").read_text().rsplit(")", 1)[1].split()
                parents[pid] = int(status[1])
                if mine & {process.joinpath(f"ns/{kind}").readlink() for kind in ("mnt", "net")}:
                    inside.add(pid)
        grew = True
        while grew:
            children = {pid for pid, parent in parents.items() if parent in inside}
            grew = not children <= inside
            inside |= children
        inside.discard(self.pid)
        found = {}
        for pid in inside:
            with contextlib.suppress(OSError):
                line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                found[pid] = line.replace(b"\0", b" ").decode(errors="replace").strip()
        return found

    def close(self):
        for pid in self.processes():
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(pid)
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                os.close(descriptor)
        self._holder.kill()
        self._holder.wait()
