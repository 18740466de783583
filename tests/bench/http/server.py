"""The PostgreSQL that the bench measures: the embedded one, on a port of its own, gone with its data at the end."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from autodoctor.migrations import migrate
from localcloud.database import binaries
from localcloud.database.postgres import SUPERUSER, Database, PostgresServer, PostgresSettings
from localcloud.host import ports

_OPTIONS: Final = {
    # Nothing may run beside what is measured.
    "autovacuum": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "16GB",
    "shared_buffers": "512MB",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}


@dataclass(frozen=True)
class BenchServer:
    """A server with a migrated database.

    Attributes:
        database: how each role reaches it.
        superuser: an autocommit connection to that database.
        programs: the folder with pgbench and pg_waldump.
    """

    server: PostgresServer
    database: Database
    superuser: psycopg.Connection[tuple[Any, ...]]
    programs: Path

    def value(self, query: LiteralString, *parameters: object) -> Any:  # noqa: ANN401 (whatever type the column has)
        """The first column of the first row."""
        row = self.superuser.execute(query, parameters).fetchone()
        assert row is not None
        return row[0]

    def elsewhere(self) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection to another database, whose transactions do not count in ours."""
        return psycopg.connect(self.server.url(SUPERUSER, "postgres"), autocommit=True)

    def run_program(self, name: str, *arguments: str) -> str:
        """Run one of PostgreSQL's client programs against our database and return what it printed."""
        done = subprocess.run([self.programs / name, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr[-2000:]}")
        return done.stdout


@contextmanager
def bench_server(*, durable: bool, options: Mapping[str, str] | None = None) -> Iterator[BenchServer]:
    """Run a migrated server for as long as the block lasts.

    Args:
        durable: with fsync, as timings need it; counts do without.
        options: PostgreSQL's settings that differ from the bench's own.
    """
    folder = Path(tempfile.mkdtemp(prefix="autodoctor-bench-"))
    folder.chmod(0o711)  # the account that PostgreSQL runs as passes through
    settings = PostgresSettings(
        folder / "postgres",
        ports.scattered_port(),
        durable=durable,
        delete=folder,
        options=_OPTIONS | dict(options or {}),
    )
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    try:
        database = server.database()
        migrate(database.owner_url)
        server.let_app_log_in()
        programs = binaries.programs(None, binaries.server_account())
        with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
            yield BenchServer(server, database, superuser, programs)
    finally:
        server.stop()
        # Gigabytes take the guardian longer than it is given to remove them.
        shutil.rmtree(folder, ignore_errors=True)
