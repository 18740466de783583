"""Rows: what a million events leave behind: the outbox's size and dead rows, and the pages that its readers touch.

The events are written by the outbox's own trigger and taken out with mark_published() in the relay's batches, while
autovacuum runs as the schema configures it. It looks every second instead of every minute, and we wait for it after
as many events as a very busy minute has, because here a day's events take two minutes.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, LiteralString
from uuid import UUID

from autodoctor.db import database
from bench.events.bus import bench_bus
from bench.http.calls import Api
from bench.http.server import BenchServer, bench_server
from bench.http.walks import Walks
from bench.measure.judge import Row, Target
from bench.measure.meter import Buffers, Meter

FULL: Final = 1_000_000
AT_ONCE: Final = 5_000
A_MINUTE: Final = 50_000
ROUNDS: Final = 5
WAITING: Final = 50
AT_MOST: Final = 1.10
CLAIM: Final = "claim_events()"
BEFORE_ALL: Final = UUID(int=0)
TOO_FEW_TO_VACUUM: Final = 2_000
"""The table's autovacuum_vacuum_threshold (sql/events/0004_events.sql)."""
AUTOVACUUM: Final = {"autovacuum": "on", "autovacuum_naptime": "1s"}

_WRITE: Final[LiteralString] = """
INSERT INTO session_assignment_events (session_id, occurred_at, assignment_id, from_status, to_status, actor)
SELECT s.id, clock_timestamp(), s.id, CASE n WHEN 2 THEN 'pending_waiver' END,
       CASE n WHEN 1 THEN 'pending_waiver' ELSE 'queued' END, 'customer'
  FROM (SELECT new_id() AS id FROM generate_series(1, %(sessions)s)) AS s, generate_series(1, 2) n
"""
_PUBLISHED: Final[LiteralString] = """
WITH batch AS MATERIALIZED (
  SELECT array_agg(subject_id) AS subjects, array_agg(id) AS ids
    FROM (SELECT o.*, row_number() OVER (ORDER BY subject_id, id) AS n FROM outbox o) AS o GROUP BY (n - 1) / 10
)
SELECT sum(mark_published(subjects, ids)) FROM batch
"""
_SIZE: Final[LiteralString] = "SELECT pg_table_size('outbox'), pg_indexes_size('outbox')"
_DEAD: Final[LiteralString] = "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'outbox'"
_VACUUMED: Final[LiteralString] = "SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'outbox'"


@dataclass(frozen=True)
class OutboxSize:
    """How the outbox stands, in bytes and rows, and the pages that each of its readers touches."""

    table: int
    index: int
    dead: int
    pages: dict[str, list[Buffers]]


def rows(count: int, progress: Callable[[str], None]) -> Iterator[Row]:
    """Put `count` events through the outbox; compare after all of them with after the first tenth."""
    with bench_server(durable=False, options=AUTOVACUUM) as server, bench_bus():
        walks, meter = Walks(server, Api(server.database.app_url)), Meter(server)
        walks.fill_queue(WAITING)
        count -= count % AT_ONCE
        first = max(count // 10 // AT_ONCE, 1) * AT_ONCE
        for done in range(AT_ONCE, count + 1, AT_ONCE):
            _through(server)
            progress(f"events through the outbox: {done:,} of {count:,}")
            if done % A_MINUTE == 0 or done in {first, count}:
                unvacuumed = _outbox_size(server, walks, meter)
                _vacuumed(server)
            if done == first:
                early = _outbox_size(server, walks, meter)
        late = _outbox_size(server, walks, meter)
        database().close()
    yield from _compared(count, early, unvacuumed, late)


def _through(server: BenchServer) -> None:
    """Write events and publish them, each in a transaction of its own."""
    server.superuser.execute(_WRITE, {"sessions": AT_ONCE // 2})
    published = server.value(_PUBLISHED)
    if published != AT_ONCE:
        raise RuntimeError(f"{published} of {AT_ONCE} events were published")


def _vacuumed(server: BenchServer) -> None:
    """Wait for autovacuum, unless it has come already: nothing makes it come twice for the same rows."""
    before = server.value(_VACUUMED)
    for _ in range(600):
        if server.value(_VACUUMED) > before or server.value(_DEAD) < TOO_FEW_TO_VACUUM:
            return
        time.sleep(0.1)
    raise RuntimeError("autovacuum did not come")


def _sizes(server: BenchServer) -> tuple[int, int]:
    row = server.superuser.execute(_SIZE).fetchone()
    assert row is not None
    return row[0], row[1]


def _outbox_size(server: BenchServer, walks: Walks, meter: Meter) -> OutboxSize:
    table, index = _sizes(server)
    dead = server.value(_DEAD)
    database().close()  # plans that functions keep were made for another size of table
    return OutboxSize(table, index, dead, _pages(walks, meter))


def _pages(walks: Walks, meter: Meter) -> dict[str, list[Buffers]]:
    mechanic = walks.mechanic()
    made: dict[str, list[Buffers]] = {"queue page": [], "pending_events()": [], CLAIM: []}
    for number in range(ROUNDS + 1):
        with walks.api.unpublished():
            read = _readers(walks, meter, mechanic)
        walks.api.publish()
        for name, buffers in read.items():
            if number:
                made[name].append(buffers)
    return made


def _readers(walks: Walks, meter: Meter, mechanic: UUID) -> dict[str, Buffers]:
    """What each reader touches while the events of one call wait to be published."""
    session = walks.queued().session_id
    return {
        "queue page": meter.buffers(lambda: walks.api.queue(mechanic)),
        "pending_events()": meter.buffers(lambda: database().all("SELECT * FROM pending_events(%s)", [session])),
        CLAIM: meter.buffers(_claim),
    }


def _claim() -> None:
    claimed = database().all("SELECT * FROM claim_events(%(after)s, 20, interval '0')", {"after": BEFORE_ALL})
    if not claimed:
        raise RuntimeError("there was nothing to claim")


def _compared(count: int, early: OutboxSize, unvacuumed: OutboxSize, late: OutboxSize) -> Iterator[Row]:
    yield Row(
        name=f"outbox: table and index after {count:,} events",
        unit="kB",
        measured=(late.table + late.index) / 1024,
        reference=(early.table + early.index) / 1024,
        reference_name="after the first tenth",
        cause=f"{late.index / 1024:,.0f} kB of it index",
    )
    yield Row(
        name=f"outbox: dead rows after {count:,} events",
        unit="",
        measured=late.dead,
        reference=unvacuumed.dead,
        reference_name="before the last vacuum",
        cause=f"a vacuum comes each minute, here after {A_MINUTE:,} events",
    )
    for name, buffers in late.pages.items():
        kinds = {"after all": buffers, "after a tenth": early.pages[name], "unvacuumed": unvacuumed.pages[name]}
        pages = {kind: _median(rounds) for kind, rounds in kinds.items()}
        yield Row(
            name=f"outbox: {name} after {count:,} events",
            unit="pages",
            measured=pages["after all"],
            reference=pages["after a tenth"],
            reference_name="after the first tenth",
            target=Target(AT_MOST) if count >= FULL else None,
            gated=name != CLAIM,  # no caller waits for it, and its plan turns with the outbox's statistics
            cause=f"{pages['unvacuumed']:.0f} with what was published since the last vacuum",
            samples={kind: [each.total for each in rounds] for kind, rounds in kinds.items()},
        )


def _median(rounds: list[Buffers]) -> float:
    return sorted(each.total for each in rounds)[len(rounds) // 2]
