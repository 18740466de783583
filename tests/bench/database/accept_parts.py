"""Rows: what an accept takes the server without one of its parts, so that what each costs is known.

Each variant is the schema with something taken away, in a database of its own; one backend each, in rounds that take
turns, and of the rounds the least.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from autodoctor.migrations import migrate
from bench.database import claims
from bench.http.server import BenchServer, bench_server
from bench.http.stacks import WITHOUT_OUTBOX
from bench.measure.judge import Row
from bench.measure.processes import HAS_PROC
from bench.measure.processor import CALLS, least, take

type Superuser = psycopg.Connection[tuple[Any, ...]]

_TABLES: Final = ("sessions", "session_assignments", "session_participants", "session_messages", "rooms")
_CONSTRAINTS: Final[LiteralString] = """
SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = %s
"""
WHOLE: Final = "as it is"


def rows() -> Iterator[Row]:
    """A row for each part. None where the system has no /proc."""
    if not HAS_PROC:
        return
    with bench_server(durable=False) as server, ExitStack() as stack:
        contestants = {
            name: (_seeded(server, f"part_{number}", without, stack), take, 0)
            for number, (name, without) in enumerate(_PARTS.items())
        }
        made = least(contestants)
    for name, microseconds in made.items():
        if name != WHOLE:
            yield Row(
                name=f"processor time of an accept, server, {name}",
                unit="µs",
                measured=microseconds,
                reference=made[WHOLE],
                reference_name=WHOLE,
                cause=f"{made[WHOLE] - microseconds:.0f} µs",
            )


def _seeded(server: BenchServer, name: str, without: Callable[[Superuser], None], stack: ExitStack) -> str:
    """Make a database without a part, with requests to accept; the application's address of it."""
    database = server.server.create_database(name)
    migrate(database.owner_url)
    superuser = stack.enter_context(psycopg.connect(database.superuser_url, autocommit=True))
    claims.seed(dataclasses.replace(server, database=database, superuser=superuser), CALLS + 1, 1)
    without(superuser)
    superuser.execute("VACUUM ANALYZE")
    return database.app_url


def _nothing(_superuser: Superuser) -> None:
    """Leave everything."""


def _dropped(*statements: LiteralString) -> Callable[[Superuser], None]:
    def drop(superuser: Superuser) -> None:
        for statement in statements:
            superuser.execute(statement)

    return drop


def _without_constraints(kind: str) -> Callable[[Superuser], None]:
    """Drop the constraints of this kind, as pg_constraint names kinds, of the tables that an accept writes."""

    def drop(superuser: Superuser) -> None:
        for table in _TABLES:
            for (name,) in superuser.execute(_CONSTRAINTS, [table, kind]).fetchall():
                statement = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
                superuser.execute(statement.format(sql.Identifier(table), sql.Identifier(name)))

    return drop


_PARTS: Final[Mapping[str, Callable[[Superuser], None]]] = {
    WHOLE: _nothing,
    "without its events": _dropped(*WITHOUT_OUTBOX),
    "without what the room hears": _dropped("DROP TRIGGER sessions_say_so ON sessions"),
    "without the checks at commit": _dropped(
        "DROP TRIGGER sessions_consistent ON sessions",
        "DROP TRIGGER assignments_consistent ON session_assignments",
        "DROP TRIGGER participants_consistent ON session_participants",
    ),
    "without check constraints": _without_constraints("c"),
    "without foreign keys": _without_constraints("f"),
}
