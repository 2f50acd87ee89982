"""Waiting for something that becomes true, never for a time."""

import time


def wait_until(condition, what, timeout_s=60):
    """The first true value of condition(); fails when it stays false."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s for: {what}")
        time.sleep(0.05)
