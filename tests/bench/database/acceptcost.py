"""Rows: processor time of one accept with its events and without, in the function and in the server.

One process makes all calls through the real handler, on two databases in turns: one as it is, and one without the
outbox's triggers, where nothing is published. Time on the processor hardly depends on what else the machine does.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import psycopg

from autodoctor.db import database
from autodoctor.migrations import migrate
from bench.events.bus import bench_bus
from bench.http.calls import Api
from bench.http.server import BenchServer, bench_server
from bench.http.stacks import WITHOUT_OUTBOX
from bench.http.walks import Walks
from bench.measure.judge import Row, Target
from bench.measure.processes import HAS_PROC, processor_seconds

ROUNDS: Final = 6
CALLS: Final = 60


@dataclass(frozen=True)
class Spent:
    """Microseconds of processor time per call."""

    function: float
    server: float


def rows() -> Iterator[Row]:
    """Three rows: function, server, and what publishing adds to both; none where the system has no /proc."""
    if not HAS_PROC:
        return
    with bench_server(durable=True) as server, bench_bus():
        without = server.server.create_database("without")
        migrate(without.owner_url)
        with psycopg.connect(without.superuser_url, autocommit=True) as superuser:
            for statement in WITHOUT_OUTBOX:
                superuser.execute(statement)
            other = dataclasses.replace(server, database=without, superuser=superuser)
            samples = _rounds(server, other)
    off, call, publishing = (_least(samples[name]) for name in ("off", "on", "publishing"))
    for part in ("function", "server"):
        measured = getattr(call, part) + getattr(publishing, part)
        yield Row(
            name=f"processor time of an accept with its two events, {part}",
            unit="µs",
            measured=measured,
            reference=getattr(off, part),
            reference_name="without events",
            cause=f"{getattr(call, part):.0f} until the commit, {getattr(publishing, part):.0f} to publish after it",
        )
    yield Row(
        name="processor time of publishing and marking, function and server, against the accept before it",
        unit="µs",
        measured=publishing.function + publishing.server,
        reference=call.function + call.server,
        reference_name="the accept",
        target=Target(0.25),
    )


def _rounds(server: BenchServer, other: BenchServer) -> dict[str, list[Spent]]:
    api = Api(server.database.app_url)
    samples: dict[str, list[Spent]] = {"off": [], "on": [], "publishing": []}
    for number in range(ROUNDS + 1):
        made: dict[str, Spent] = {}
        for name, where in (("off", other), ("on", server)):
            os.environ["DATABASE_URL"] = where.database.app_url
            database().close()
            made |= _accepts(Walks(where, api), name)
        if number:
            for name, spent in made.items():
                samples[name].append(spent)
    return samples


def _accepts(walks: Walks, name: str) -> dict[str, Spent]:
    queued = [walks.queued() for _ in range(CALLS)]
    with walks.api.unpublished():
        accepts = _spent(lambda: [walks.api.accept(each.mechanic, each.assignment_id) for each in queued])
    publishing = _spent(walks.api.publish)
    return {name: accepts, "publishing": publishing} if name == "on" else {name: accepts}


def _spent(calls: Callable[[], object]) -> Spent:
    row = database().one("SELECT pg_backend_pid() AS pid", ())
    assert row is not None
    before, used = processor_seconds(row["pid"]), time.process_time()
    calls()
    function = time.process_time() - used
    server = processor_seconds(row["pid"]) - before
    return Spent(function * 1e6 / CALLS, server * 1e6 / CALLS)


def _least(samples: list[Spent]) -> Spent:
    """The least of each: whatever else the machine does only adds to it."""
    return Spent(*(min(getattr(each, part) for each in samples) for part in ("function", "server")))
