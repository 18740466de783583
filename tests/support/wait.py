"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {PATIENCE_SECONDS:.0f} s"
        time.sleep(0.02)
