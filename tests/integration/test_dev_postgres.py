"""The embedded PostgreSQL: what the fixtures promise, recovery, and that nothing is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from autodoctor.migrations import migrate
from psycopg.errors import InsufficientPrivilege

from localcloud import leftover, ports
from localcloud.postgres import Database, PostgresFailed, PostgresServer, PostgresSettings

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder below pytest's own, which are 0700: root's server has to cope with that."""
    return tmp_path_factory.mktemp("data") / "postgres"


@pytest.fixture
def server(folder: Path) -> Iterator[PostgresServer]:
    server = new_server(folder)
    server.start()
    yield server
    server.stop()


def new_server(folder: Path, bin_dir: Path | None = None, *, delete: bool = True) -> PostgresServer:
    settings = PostgresSettings(folder, ports.scattered_port(), bin_dir=bin_dir, durable=False, delete=delete)
    return PostgresServer(settings, progress=lambda _sentence: None)


def gone(pid: int, within: float = 5.0) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.05)
    return False


def test_each_test_gets_a_migrated_database_of_its_own(database: Database) -> None:
    with psycopg.connect(database.app_url) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
        with pytest.raises(InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (id int)")
