"""Renames that race with the runtime: two names of a shared volume swap what they name, all the
time that containers are started."""

import contextlib
import os
import subprocess
import time

# How long each class is attacked. `make test` is quick; RACE_SECONDS=60 is the thorough run.
SECONDS = float(os.environ.get("RACE_SECONDS", "3"))


@contextlib.contextmanager
def exchanging(probe, *pairs):
    """One attacking process for each pair of names, which must both exist."""
    processes = []
    try:
        for first, second in pairs:
            process = subprocess.Popen([probe, f"exchange={first},{second}"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            processes.append(process)
            assert process.stdout.readline() == '{"exchange": "0"}\n'
        yield
        for process in processes:
            assert process.poll() is None, "an attacker has died"
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


def repeatedly(action, seconds=None):
    """Does it again and again for the time of a race; (how often, how often it failed)."""
    end = time.monotonic() + (SECONDS if seconds is None else seconds)
    count = failed = 0
    while time.monotonic() < end:
        count += 1
        failed += not action()
    return count, failed
