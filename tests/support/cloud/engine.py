"""Tools for tests of the local cloud's engine, and the stack that they run."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from localcloud.host.logline import LogLine
from localcloud.services.cloud import RunningCloud

PATIENCE_SECONDS = 60.0
ENGINE_TEMPLATE = Path(__file__).parents[1] / "stacks" / "engine" / "template.yaml"


@dataclass(frozen=True)
class Engine:
    """A running cloud, its HTTP API and what it logged."""

    cloud: RunningCloud
    http: httpx.Client
    lines: list[LogLine]


def wait_until_printed(lines: list[LogLine], text: str) -> None:
    """Wait until a function has printed a text, which is that of one test alone."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not any(text in line.text for line in list(lines)):
        assert time.monotonic() < deadline, f"nobody printed {text!r}"
        time.sleep(0.01)


@contextmanager
def due_soon[T](start: Callable[[datetime], AbstractContextManager[T]]) -> Iterator[T]:
    """Run a stack that has started before its schedule is due, which never fires else; a start may take seconds.

    `start` runs one, in a folder of its own each time, that fires at a time it is given, a whole second.
    """
    for seconds in (2, 4, 8, 16, 32):
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        with start(due) as running:
            if datetime.now(UTC) < due:
                yield running
                return
    raise AssertionError("no start took less than half a minute")
