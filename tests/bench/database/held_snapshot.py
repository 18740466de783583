"""Rows: pages touched while a snapshot is held for an hour, by a backup or a report, so that no vacuum can clean up."""

from collections.abc import Iterator
from typing import Final

import psycopg

from autodoctor.db import database
from bench.database import buffers, history
from bench.events.bus import bench_bus
from bench.http.calls import Api
from bench.http.server import bench_server
from bench.http.walks import Walks
from bench.measure.judge import Row
from bench.measure.meter import Meter

HOUR: Final = 3_600
"""Consultations meanwhile: one a second, which is 2.6 million a month."""


def rows() -> Iterator[Row]:
    """A queue page, an accept and its publishing, with the snapshot and after it."""
    with bench_bus(), bench_server(durable=False) as server:
        walks, meter = Walks(server, Api(server.database.app_url)), Meter(server)
        history.load(server.superuser, 0, 0, _nothing)
        with psycopg.connect(server.database.superuser_url) as report:
            report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            report.execute("SELECT count(*) FROM sessions")
            history.load(server.superuser, 0, HOUR, _nothing, through_queue=True)
            server.superuser.execute("VACUUM ANALYZE")
            held = buffers.measure(walks, meter, HOUR)
        server.superuser.execute("VACUUM ANALYZE")
        freed = buffers.measure(walks, meter, HOUR)
        database().close()
    for name, reading in held.items():
        yield Row(
            name=f"buffers: {name}, a snapshot held while {HOUR:,} consultations went through the queue",
            unit="pages",
            measured=reading.pages,
            reference=freed[name].pages,
            reference_name="after it",
            cause=f"the first call: {reading.rounds[0].total} pages",
        )


def _nothing(_loaded: int) -> None:
    """Nobody watches."""
