"""Rows: events a second that one relay publishes from a backlog, and two at once, against the bus without a database.

The backlog is that of an outage: whole consultations, eight events each. Relays are processes of their own, as the
functions are; the bus is one that takes everything at once. All take turns within a round, the first of which is
thrown away; each begins with the same backlog in a vacuumed outbox.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, LiteralString

from bench.database import history
from bench.events.bus import Bus, bench_bus
from bench.http.server import BenchServer, bench_server
from bench.measure import machine
from bench.measure.judge import Row, noise

BACKLOG: Final = 20_000
EVENTS_PER_SESSION: Final = 8
ROUNDS: Final = 4

_FILL: Final[LiteralString] = """
INSERT INTO outbox (subject_id, id)
SELECT session_id, id FROM session_events
UNION ALL SELECT session_id, id FROM session_assignment_events ORDER BY id
"""


@dataclass(frozen=True)
class Drained:
    """One round of one contestant: events a second, and seconds of processor time of its processes per event."""

    rate: float
    processor: float


class Relayer:
    """A process of relayer.py that is ready to work."""

    def __init__(self, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.events.relayer", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise RuntimeError(f"{kind} did not start")

    def go(self) -> None:
        """Have it work."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def done(self) -> dict[str, float]:
        """What it did, when it is done."""
        done: dict[str, float] = json.loads(self._line())
        return done

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def rows() -> Iterator[Row]:
    """One relay and two at once against the floor, and the processor time behind it."""
    with bench_server(durable=True) as server, bench_bus() as bus:
        os.environ["DATABASE_URL"] = server.database.app_url
        history.load(server.superuser, 0, BACKLOG // EVENTS_PER_SESSION, lambda _: None)
        server.superuser.execute(_FILL)
        server.superuser.execute("VACUUM ANALYZE")
        contestants = {"floor": ["floor"], "one relay": ["relay"], "two relays": ["relay", "relay"]}
        samples: dict[str, list[Drained]] = {name: [] for name in contestants}
        with contextlib.ExitStack() as stack:
            ready = {name: [_relayer(stack, kind) for kind in kinds] for name, kinds in contestants.items()}
            busy = machine.busy()
            for number in range(ROUNDS + 1):
                for name, relayers in ready.items():
                    drained = _drain(server, bus, relayers, empties=name != "floor")
                    if number:
                        samples[name].append(drained)
    yield from _compared(samples, noise([each.rate for each in samples["floor"]], busy))


def _relayer(stack: contextlib.ExitStack, kind: str) -> Relayer:
    relayer = Relayer(kind)
    stack.callback(relayer.close)
    return relayer


def _drain(server: BenchServer, bus: Bus, relayers: list[Relayer], *, empties: bool) -> Drained:
    before = bus.taken()
    for relayer in relayers:
        relayer.go()
    done = [relayer.done() for relayer in relayers]
    left = server.value("SELECT count(*) FROM outbox")
    if bus.taken() - before != BACKLOG or left != (0 if empties else BACKLOG):
        raise RuntimeError(f"{bus.taken() - before} of {BACKLOG} events published, {left} left")
    if empties:
        server.superuser.execute("VACUUM outbox")
        server.superuser.execute(_FILL)
    seconds = max(each["ended"] for each in done) - min(each["began"] for each in done)
    return Drained(BACKLOG / seconds, sum(each["processor"] for each in done) / BACKLOG)


def _compared(samples: dict[str, list[Drained]], refused: str) -> Iterator[Row]:
    rates = {name: [each.rate for each in drained] for name, drained in samples.items()}
    used = {name: statistics.median(each.processor for each in drained) * 1e6 for name, drained in samples.items()}
    for name in ("one relay", "two relays"):
        yield Row(
            name=f"relay: {name}, from a backlog of {BACKLOG:,}",
            unit="events/s",
            measured=statistics.median(rates[name]),
            reference=statistics.median(rates["floor"]),
            reference_name="PutEvents without a database",
            refused=refused,
            cause=f"{used[name]:.0f} µs of processor time per event in the relay, {used['floor']:.0f} in the floor",
            samples={name: rates[name], "floor": rates["floor"]},
        )
