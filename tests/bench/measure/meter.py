"""PostgreSQL's own counts of one call: statements, commits, buffers, index searches."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, LiteralString

from psycopg import sql

from autodoctor.db import database
from bench.http.server import BenchServer
from localcloud.database.postgres import APP_ROLE

# Statistics of a connection reach the shared counters when it says so, or at some later time.
_FLUSH: Final = "SELECT pg_stat_force_next_flush()"

# With log_statement, the server writes one such line for each statement that a client sends.
_LOGGED: Final = re.compile(
    rf"{APP_ROLE}@\S+ LOG:  (?:statement|execute [^:]+): (?!BEGIN|COMMIT|ROLLBACK|{re.escape(_FLUSH)})"
)

_COMMITS: Final[LiteralString] = "SELECT xact_commit FROM pg_stat_database WHERE datname = 'autodoctor'"

_PROCESS: Final[LiteralString] = "SELECT pg_backend_pid() AS pid"
_RUNS: Final[LiteralString] = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
_PATIENCE_SECONDS: Final = 30.0

_HEAP: Final[LiteralString] = """
SELECT relname, heap_blks_hit + heap_blks_read + coalesce(toast_blks_hit + toast_blks_read, 0), 0
  FROM pg_statio_user_tables
"""
_INDEXES: Final[LiteralString] = """
SELECT io.indexrelname, io.idx_blks_hit + io.idx_blks_read, s.idx_scan
  FROM pg_statio_user_indexes io JOIN pg_stat_user_indexes s USING (indexrelid)
"""


@dataclass(frozen=True)
class Traffic:
    """Statements (without BEGIN and COMMIT) and commits of one call."""

    statements: int
    commits: int


@dataclass(frozen=True)
class Buffers:
    """Pages that one call touched, by table and by index; catalogs are not counted.

    Attributes:
        heap: pages of each table.
        index: pages of each index.
        searches: how often each index was searched.
    """

    heap: dict[str, int]
    index: dict[str, int]
    searches: dict[str, int]

    @property
    def total(self) -> int:
        """All pages."""
        return sum(self.heap.values()) + sum(self.index.values())


class Meter:
    """Reads the counters around a call of a handler. The connection of the handlers must be the only busy one."""

    def __init__(self, server: BenchServer) -> None:
        """Read through `server`; counting commits needs a connection that does not count itself."""
        self._server = server
        self._outside = server.elsewhere()
        self._log = server.server.log_file

    def traffic(self, *calls: Callable[[], object]) -> list[Traffic]:
        """Count the statements and commits of each of `calls`, which are made one after the other."""
        self._flush()
        return [self._traffic(call) for call in calls]

    def _traffic(self, call: Callable[[], object]) -> Traffic:
        before, read = self._commits(), self._log.stat().st_size
        call()
        self._flush()
        with self._log.open(encoding="utf-8") as log:
            log.seek(read)
            statements = logged_statements(log.read())
        flushed_itself = int(statements > 0)  # a flush with nothing to flush is counted with the next one
        return Traffic(statements, self._commits() - before - flushed_itself)

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Have the server log the statements of the handlers' connection for as long as the block lasts."""
        self._set_log_statement("all")
        yield
        self._set_log_statement("none")

    def buffers(self, call: Callable[[], object]) -> Buffers:
        """Count the pages of tables and indexes that `call` touched, triggers and checks at commit included."""
        self._flush()
        heap, index = self._pages(_HEAP), self._pages(_INDEXES)
        call()
        self._flush()
        heap_after, index_after = self._pages(_HEAP), self._pages(_INDEXES)
        return Buffers(
            _grown({name: pages for name, (pages, _) in heap.items()}, heap_after, 0),
            _grown({name: pages for name, (pages, _) in index.items()}, index_after, 0),
            _grown({name: searches for name, (_, searches) in index.items()}, index_after, 1),
        )

    def _set_log_statement(self, value: Literal["all", "none"]) -> None:
        statement = sql.SQL("ALTER ROLE {} SET log_statement = {}")
        self._outside.execute(statement.format(sql.Identifier(APP_ROLE), sql.Literal(value)))
        row = database().only(_PROCESS, ())
        database().close()  # a role's settings reach new connections only
        self._wait_for_the_end_of(row["pid"])

    def _wait_for_the_end_of(self, process: int) -> None:
        """Wait until a connection's process is gone: it counts what it has left as it ends, however late that is."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while self._outside.execute(_RUNS, [process]).fetchone() is not None:
            if time.monotonic() > give_up_at:
                raise RuntimeError(f"PostgreSQL's process {process} does not end")
            time.sleep(0.01)

    def _flush(self) -> None:
        database().one(_FLUSH, ())

    def _commits(self) -> int:
        row = self._outside.execute(_COMMITS).fetchone()
        assert row is not None
        return int(row[0])

    def _pages(self, query: LiteralString) -> dict[str, tuple[int, int]]:
        return {name: (pages, searches) for name, pages, searches in self._server.superuser.execute(query)}


def logged_statements(log: str) -> int:
    """How many statements of the application role a piece of the server's log tells of, without BEGIN and COMMIT."""
    return len(_LOGGED.findall(log))


def _grown(before: dict[str, int], after: dict[str, tuple[int, int]], which: int) -> dict[str, int]:
    return {name: grown for name, values in after.items() if (grown := values[which] - before.get(name, 0))}
