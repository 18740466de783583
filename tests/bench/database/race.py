"""Rows: 100 mechanics race for one assignment, each on a connection of their own.

Against two things: the same 100 at the same moment with an assignment each, which shows what the contest costs,
and one mechanic alone. Latencies are those of the use case in this process, the loser's second statement included.
"""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from uuid import UUID

from autodoctor.db import Database
from autodoctor.errors import AssignmentUnavailable
from autodoctor.sessions.accept import accept
from autodoctor.sessions.end import Ender, end_session
from bench.events.bus import bench_bus
from bench.http.calls import Api
from bench.http.server import BenchServer, bench_server
from bench.http.walks import Consultation, Walks
from bench.measure import machine
from bench.measure.judge import Row, Target, noise, percentile

MECHANICS: Final = 100
ROUNDS: Final = 20
# Until every connection has its plans: triggers plan anew for their first five calls.
WARM_UP: Final = 6
AT_MOST: Final = Target(5.0)


class Racers:
    """Mechanics with an open connection each."""

    def __init__(self, server: BenchServer, walks: Walks) -> None:
        """Open the connections."""
        self.subs = [walks.mechanic() for _ in range(MECHANICS)]
        self.databases = [Database(lambda: server.database.app_url) for _ in self.subs]
        for database in self.databases:
            database.one("SELECT 1", ())
        self._pool = ThreadPoolExecutor(MECHANICS)

    def race(self, assignments: list[UUID]) -> tuple[list[float], int]:
        """All accept at once, each their own of `assignments`; returns milliseconds of each, and how many won."""
        barrier = threading.Barrier(MECHANICS)

        def run(number: int) -> tuple[float, bool]:
            barrier.wait()
            return self._timed(number, assignments[number])

        results = list(self._pool.map(run, range(MECHANICS)))
        return [taken for taken, _ in results], sum(won for _, won in results)

    def alone(self, assignment: UUID) -> float:
        """The first mechanic accepts with nobody else about; milliseconds."""
        return self._timed(0, assignment)[0]

    def close(self) -> None:
        """Close the connections."""
        self._pool.shutdown()
        for database in self.databases:
            database.close()

    def _timed(self, number: int, assignment: UUID) -> tuple[float, bool]:
        began = time.perf_counter()
        try:
            accept(self.databases[number], self.subs[number], assignment)
        except AssignmentUnavailable:
            won = False
        else:
            won = True
        return (time.perf_counter() - began) * 1000, won


def rows() -> Iterator[Row]:
    """Two rows: against the same load without a contest, and against one mechanic alone."""
    with bench_server(durable=True) as server, bench_bus():
        walks = Walks(server, Api(server.database.app_url))
        racers = Racers(server, walks)
        samples: dict[str, list[float]] = {"race": [], "each their own": [], "alone": []}
        floor: list[float] = []
        busy = machine.busy()
        for number in range(-WARM_UP, ROUNDS):
            made = _round(walks, racers)
            if number >= 0:
                floor.append(percentile(made["alone"], 0.5))
                for name, taken in made.items():
                    samples[name] += taken
        racers.close()
    refused = noise(floor, busy)
    crowd = percentile(samples["each their own"], 0.99)
    cause = f"{MECHANICS} calls at once share {os.cpu_count()} processors: without a contest it is {crowd:.0f} ms"
    yield _row("each their own", "the same 100 with one each", samples, refused, "waiting for the session's row")
    yield _row("alone", "one mechanic alone", samples, refused, cause)


def _round(walks: Walks, racers: Racers) -> dict[str, list[float]]:
    """One race, one without a contest, and as many accepts alone as there are tenths of mechanics."""
    contested = walks.queued()
    race, winners = racers.race([UUID(contested.assignment_id)] * MECHANICS)
    if winners != 1:
        raise RuntimeError(f"{winners} mechanics won one assignment")
    _end(racers, [contested])
    own = [walks.queued() for _ in racers.subs]
    uncontested, winners = racers.race([UUID(each.assignment_id) for each in own])
    if winners != MECHANICS:
        raise RuntimeError(f"{winners} of {MECHANICS} mechanics got their own assignment")
    _end(racers, own)
    return {"race": race, "each their own": uncontested, "alone": [_one(walks, racers) for _ in range(10)]}


def _one(walks: Walks, racers: Racers) -> float:
    made = walks.queued()
    taken = racers.alone(UUID(made.assignment_id))
    _end(racers, [made])
    return taken


def _end(racers: Racers, made: list[Consultation]) -> None:
    for each in made:
        end_session(racers.databases[0], Ender(each.customer), UUID(each.session_id))


def _row(other: str, named: str, samples: dict[str, list[float]], refused: str, cause: str) -> Row:
    return Row(
        name=f"p99 of {MECHANICS} mechanics racing for one assignment, against {named}",
        unit="ms",
        measured=percentile(samples["race"], 0.99),
        reference=percentile(samples[other], 0.99),
        reference_name=named,
        target=AT_MOST,
        refused=refused,
        cause=cause,
        samples={"race": samples["race"], other: samples[other]},
    )
