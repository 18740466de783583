"""Migrations: all or nothing, safe twice, safe at once, and no lock outlives a migration that was killed."""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from autodoctor.migrations import ADVISORY_LOCK, migrate
from autodoctor.migrations.login import let_in
from autodoctor.migrations.sql_file import SQL
from localcloud.database.postgres import Database

EVERY = sorted(file.stem for file in SQL.glob("*.sql"))
MIGRATE = "import sys; from autodoctor.migrations import migrate; print(*migrate(sys.argv[1]))"


@pytest.fixture
def empty(database: Database) -> Iterator[str]:
    """The owner's URL of a database without schema."""
    name = f"{database.name}_empty"
    with psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        superuser.execute(sql.SQL("CREATE DATABASE {} OWNER autodoctor_owner").format(sql.Identifier(name)))
        yield database.owner_url.rpartition("/")[0] + f"/{name}"
        superuser.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def start(url: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", MIGRATE, url], stdout=subprocess.PIPE, text=True)


def test_twice_is_once(empty: str) -> None:
    assert migrate(empty) == EVERY
    assert migrate(empty) == []


def test_of_three_at_once_one_does_the_work_and_all_succeed(empty: str) -> None:
    deployments = [start(empty) for _ in range(3)]
    printed = sorted(deployment.communicate(timeout=60)[0].split() for deployment in deployments)
    assert [deployment.returncode for deployment in deployments] == [0, 0, 0]
    assert printed == [[], [], EVERY]


def test_one_that_fails_leaves_nothing_behind(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as owner:
        owner.execute("CREATE TABLE idempotency_keys ()")  # in the way of the second migration
        with pytest.raises(psycopg.errors.DuplicateTable, match="idempotency_keys"):
            migrate(empty)
        assert owner.execute("SELECT to_regclass('settings'), to_regclass('sessions')").fetchone() == (None, None)
        owner.execute("DROP TABLE idempotency_keys")
    assert migrate(empty) == EVERY


def test_one_that_was_killed_keeps_nobody_out(empty: str, database: Database) -> None:
    with psycopg.connect(empty) as killed, psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        killed.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        waiting = start(empty)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=2)
        superuser.execute("SELECT pg_terminate_backend(%s)", (killed.info.backend_pid,))
        assert waiting.communicate(timeout=60)[0].split() == EVERY
        killed.close()


def test_a_role_is_let_in_and_the_server_never_sees_the_password(database: Database) -> None:
    role, password = f"{database.name}_app", "correct horse: battery's staple"
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        let_in(database.owner_url, role, "an earlier one")
        let_in(database.owner_url, role, password)
        url = database.owner_url.replace("autodoctor_owner", role, 1)
        with psycopg.connect(url, password=password) as known:
            assert known.info.user == role
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url, password="an earlier one")
        with psycopg.connect(database.superuser_url) as superuser:
            stored = superuser.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [role]).fetchone()
        assert stored is not None
        assert stored[0].startswith("SCRAM-SHA-256$")
        owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
