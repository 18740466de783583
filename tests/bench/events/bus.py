"""The bus that the bench publishes to, a process of its own: what an event costs must not include a consumer."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SERVER: Final = Path(__file__).with_name("bus_server.py")
NAME: Final = "autodoctor-bench"


@dataclass(frozen=True)
class Bus:
    """Where it answers."""

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What a function needs to publish to it."""
        return {
            "EVENT_BUS_NAME": NAME,
            "AWS_ENDPOINT_URL_EVENTBRIDGE": self.endpoint,
            "AWS_REGION": "eu-west-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }

    def taken(self) -> int:
        """How many entries it has taken so far."""
        with urllib.request.urlopen(self.endpoint) as answer:  # noqa: S310 (our own server on the loopback)
            return int(json.load(answer)["taken"])


_running: list[Bus] = []


@contextmanager
def bench_bus() -> Iterator[Bus]:
    """Run a bus for as long as the block lasts, and have this process publish to it.

    A block within a block gets the same one: a process keeps its connection to its first bus.
    """
    if _running:
        yield _running[0]
        return
    with subprocess.Popen(
        [sys.executable, "-I", "-S", _SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        bus = Bus(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        os.environ |= bus.environment
        _running.append(bus)
        yield bus
        _running.remove(bus)
        assert process.stdin is not None
        process.stdin.close()
