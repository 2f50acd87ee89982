"""nothing_left.py REPORT COMMAND...: runs the command; a process of its that goes on without it is
ended, and named in the file REPORT. What the command leaves comes to us, however it was detached:
we are its subreaper (prctl(2)), and reap as init would."""

import contextlib
import ctypes
import os
import pathlib
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
# A shim that nobody needs any more ends by itself, after 10 s.
PATIENCE_S = 20


def children():
    """{pid: command line} of our own."""
    found = {}
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = process.joinpath("stat").read_text().rsplit(")", 1)[1].split()
            if int(status[1]) == os.getpid():
                line = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ")
                found[int(process.name)] = line.decode(errors="replace").strip()
    return found


def reap():
    """False: there is no child."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def left_behind():
    """Ends them, too; theirs become ours only then."""
    left, deadline = {}, time.monotonic() + PATIENCE_S
    while reap():
        if time.monotonic() > deadline:
            for pid, line in children().items():
                left.setdefault(pid, line)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    return left


def main(report, *command):
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1) != 0:
        sys.exit("nothing_left.py: prctl(PR_SET_CHILD_SUBREAPER) failed")
    first = os.posix_spawnp(command[0], command, os.environ)
    pid, status = os.wait()
    while pid != first:
        pid, status = os.wait()
    pathlib.Path(report).write_text("".join(f"{line}\n" for line in left_behind().values()))
    sys.exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main(*sys.argv[1:])
