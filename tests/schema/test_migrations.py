"""Migrations: all or nothing, safe twice and concurrently, and no lock outlives a migration that was killed."""

import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from autodoctor.migrations import ADVISORY_LOCK, FileChanged, UnreleasedSchema, migrate, schema_files
from autodoctor.migrations.login import let_in
from localcloud.database.postgres import Database
from support.wait import wait_until

EVERY = [file.stem for file in schema_files()]
# Locks of other databases are in this view too.
WAITS_FOR_THE_LOCK = """
SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
 WHERE locktype = 'advisory' AND NOT granted AND d.datname = %s
"""
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


def waits(superuser: psycopg.Connection, url: str) -> bool:
    """Whether a migration of the database waits for another one."""
    return superuser.execute(WAITS_FOR_THE_LOCK, [url.rpartition("/")[2]]).fetchone() is not None


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
        owner.execute("CREATE TABLE idempotency_keys ()")  # in the way of the third file
        with pytest.raises(psycopg.errors.DuplicateTable, match="idempotency_keys"):
            migrate(empty)
        assert owner.execute("SELECT to_regclass('settings'), to_regclass('sessions')").fetchone() == (None, None)
        owner.execute("DROP TABLE idempotency_keys")
    assert migrate(empty) == EVERY


def test_a_schema_from_before_the_first_release_is_refused_and_kept(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as owner:
        owner.execute("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('0027')")
        with pytest.raises(UnreleasedSchema, match=r"revision 0027.*Make a new, empty database and migrate that"):
            migrate(empty)
        assert owner.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchall() == [
            ("alembic_version",)
        ]


def test_a_neighbour_may_use_alembic(empty: str) -> None:
    with psycopg.connect(empty, autocommit=True) as owner:
        owner.execute("CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('3f2a9c')")
    assert migrate(empty) == EVERY


def test_a_file_that_was_changed_after_it_was_applied_is_noticed(database: Database) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE schema_migrations SET checksum = repeat('0', 64) WHERE name = %s", [EVERY[2]])
        owner.execute("DELETE FROM schema_migrations WHERE name = %s", [EVERY[-1]])
        with pytest.raises(FileChanged, match=rf"{EVERY[2]}\.sql.*Nothing was changed"):
            migrate(database.owner_url)
        assert owner.execute("SELECT count(*) FROM schema_migrations").fetchone() == (len(EVERY) - 1,)


def test_what_only_a_later_release_knows_is_left_alone(database: Database) -> None:
    with psycopg.connect(database.owner_url, autocommit=True) as owner:
        owner.execute("INSERT INTO schema_migrations (name, checksum) VALUES ('9999_later', repeat('0', 64))")
    assert migrate(database.owner_url) == []


def test_every_file_has_a_number_of_its_own() -> None:
    """Over all folders; gaps are allowed: several may be written at once."""
    numbers = [name.partition("_")[0] for name in EVERY]
    assert numbers == sorted({f"{int(each):04}" for each in numbers})


def test_one_that_was_killed_keeps_nobody_out(empty: str, database: Database) -> None:
    with psycopg.connect(empty) as killed, psycopg.connect(database.superuser_url, autocommit=True) as superuser:
        killed.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_LOCK,))
        waiting = start(empty)
        wait_until(lambda: waits(superuser, empty) or waiting.poll() is not None)
        assert waiting.poll() is None
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
