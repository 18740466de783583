"""Rows: processor time that the server spends on one accept, on the bare UPDATE and on a fetch with its finish.

Taken from the one backend that did the work, so it hardly depends on what else the machine does. It explains the
rates: where the disk is fast, as virtual ones are, they are processor time and nothing else.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import psycopg

from autodoctor.sessions import accept
from bench.database.procrastinate_peer import FETCH, FINISH, Procrastinate
from bench.http.server import BenchServer
from bench.measure.judge import Row
from bench.measure.processes import HAS_PROC, processor_seconds

CALLS: Final = 500

type Connection = psycopg.Connection[tuple[Any, ...]]


def made(kind: int, number: int) -> UUID:
    """The id that claims.py seeded for this kind and number."""
    return UUID(f"{kind}0000000-0000-7000-8000-{number:012x}")


def rows(server: BenchServer, peer: Procrastinate, first: Mapping[str, int]) -> Iterator[Row]:
    """Two rows; uses each contestant's seeds from `first` to `first + CALLS`. None where the system has no /proc."""
    if not HAS_PROC:
        return
    worker = peer.worker()

    def update(connection: Connection, number: int) -> None:
        connection.execute(
            "UPDATE bench_floor SET status = 'waiting', mechanic_id = %s WHERE id = %s AND status = 'pending'",
            [made(1, number), made(6, number)],
        )

    def take(connection: Connection, number: int) -> None:
        parameters = {"user_id": made(2, number), "assignment_id": made(6, number)}
        connection.execute(accept._ACCEPT, parameters)  # noqa: SLF001 (what is measured)

    def fetch_and_finish(connection: Connection, _number: int) -> None:
        job = connection.execute(FETCH, {"worker": worker}).fetchone()
        assert job is not None
        connection.execute(FINISH, {"job": job[0]})

    floor = _microseconds(server.database.superuser_url, update, first["floor"])
    ours = _microseconds(server.database.app_url, take, first["accept"])
    theirs = _microseconds(peer.urls.owner_url, fetch_and_finish, 0)
    for other, value in (("bare UPDATE", floor), ("procrastinate fetch + finish", theirs)):
        yield Row(
            name=f"processor time of the server: accept against {other}",
            unit="µs",
            measured=ours,
            reference=value,
            reference_name=other,
            cause="depends less on what else the machine does",
        )


def _microseconds(url: str, call: Callable[[Connection, int], None], first: int) -> float:
    """Processor time of one backend per call, after a few calls that fill its caches."""
    warm = CALLS // 10
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for number in range(first + 1, first + 1 + warm):
            call(connection, number)
        before = processor_seconds(connection.info.backend_pid)
        for number in range(first + 1 + warm, first + 1 + CALLS):
            call(connection, number)
        used = processor_seconds(connection.info.backend_pid) - before
    return used * 1e6 / (CALLS - warm)
