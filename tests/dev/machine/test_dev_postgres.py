"""The embedded PostgreSQL: the promises of the fixtures, recovery, and no leftovers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import CheckViolation, InsufficientPrivilege

from autodoctor.integrity.checks.schema import expected, present
from autodoctor.migrations import migrate
from localcloud.database import external, leftover
from localcloud.database.postgres import Database, PostgresFailed, PostgresServer, PostgresSettings
from localcloud.host import ports
from localcloud.host.datadir import DataDir
from support.cloud.dev_process import ended, eventually

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

type Start = Callable[..., PostgresServer]

# Everything a version might see differently in our schema, as one sorted list.
SCHEMA = """
SELECT format('%s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT format('%s %s', oid::regprocedure, md5(prosrc))
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND proname <> 'new_id'
UNION ALL SELECT format('%s %s %s %s', table_name, grantee, privilege_type, is_grantable)
  FROM information_schema.role_table_grants WHERE table_schema = 'public' AND grantee = 'autodoctor_app'
ORDER BY 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder where a server may keep its data. pytest's folders are 0700: root's server has to cope with that."""
    return tmp_path / "postgres"


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Start a server on `folder`; every server started is stopped, and its data removed, at the end."""
    started: list[PostgresServer] = []

    def start_one(bin_dir: Path | None = None, *, durable: bool = False) -> PostgresServer:
        settings = PostgresSettings(folder, ports.scattered_port(), bin_dir=bin_dir, durable=durable)
        server = PostgresServer(settings, progress=lambda _sentence: None)
        server.start()
        started.append(server)
        return server

    yield start_one
    for server in started:
        server.stop()
    started[-1].discard()


def postmaster(server: PostgresServer) -> int:
    """The process id of the server itself, under its guardian."""
    found = leftover.read_postmaster(server.home / "pgdata")
    assert found
    return found.pid


def remember(server: PostgresServer) -> None:
    with psycopg.connect(server.database().owner_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def remembers(server: PostgresServer) -> bool:
    with psycopg.connect(server.database().owner_url) as connection:
        return connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_each_test_gets_a_migrated_database_of_its_own(database: Database) -> None:
    with psycopg.connect(database.app_url) as connection:
        assert connection.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
        with pytest.raises(InsufficientPrivilege):
            connection.execute("CREATE TABLE mine (id int)")


def test_listens_on_the_loopback_only_and_asks_for_a_password(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.database().superuser_url) as connection:
        row = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        ).fetchone()
    assert row == ("127.0.0.1", "")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres_server.url("postgres").replace("postgres:", "postgres:wrong"))


def test_an_error_leaves_no_row_in_the_log(start: Start) -> None:
    server = start()
    with psycopg.connect(server.database().owner_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE people (id int PRIMARY KEY, email text NOT NULL, age int CHECK (age > 0))")
        with pytest.raises(CheckViolation, match=r"jane@example\.com"):
            connection.execute("INSERT INTO people VALUES (%s, %s, %s)", (1, "jane@example.com", -1))
    log = server.log_file.read_text()
    assert "people_age_check" in log
    assert "jane@example.com" not in log


def test_a_stopped_server_starts_again_with_its_data(start: Start) -> None:
    first = start()
    remember(first)
    first.stop()
    assert remembers(start())


def test_a_server_whose_guardian_was_killed_is_stopped_by_the_next_start(start: Start) -> None:
    first = start()
    remember(first)
    orphan = postmaster(first)
    os.kill(int(Path(f"/proc/{orphan}/stat").read_text().split()[3]), signal.SIGKILL)
    assert remembers(start())
    assert ended(orphan)


def test_a_killed_server_recovers_its_data(start: Start) -> None:
    first = start(durable=True)
    remember(first)
    os.kill(postmaster(first), signal.SIGKILL)
    assert eventually(lambda: not first.running)
    assert remembers(start())


def test_a_stale_pid_file_with_the_id_of_a_stranger_is_not_believed(start: Start) -> None:
    first = start()
    remember(first)
    pid_file = first.home / "pgdata" / "postmaster.pid"
    text = pid_file.read_text()
    first.stop()
    pid_file.write_text(text.replace(text.splitlines()[0], str(os.getpid()), 1))
    assert remembers(start())


def test_nothing_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "postgres")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        home, pid = parent.stdout.readline().split()
        parent.kill()
    assert eventually(lambda: ended(int(pid)))
    assert eventually(lambda: not Path(home).exists())


PARENT = """
import sys, time
from pathlib import Path
from localcloud.database import leftover
from localcloud.host import ports
from localcloud.host.datadir import DataDir
from localcloud.host.processes import command_of
from localcloud.database.postgres import PostgresServer, PostgresSettings
folder = Path(sys.argv[1])
settings = PostgresSettings(folder, ports.scattered_port(), durable=False, delete=folder)
server = PostgresServer(settings, progress=lambda sentence: None)
server.start()
print(server.home, leftover.read_postmaster(server.home / "pgdata").pid, flush=True)
time.sleep(60)
"""


def test_data_of_another_version_is_refused_and_kept(start: Start) -> None:
    server = start()
    remember(server)
    server.stop()
    version = server.home / "pgdata" / "PG_VERSION"
    version.write_text("14\n")
    with pytest.raises(PostgresFailed, match="made by version 14"):
        start()
    version.write_text("18\n")
    assert remembers(start())


@pytest.mark.skipif(not DEBIAN_15.exists(), reason="compares with PostgreSQL 15: apt-get install postgresql-15")
def test_version_15_gets_the_same_schema(start: Start, database: Database) -> None:
    fifteen = start(DEBIAN_15).database().owner_url
    assert migrate(fifteen)
    assert migrate(fifteen) == []
    assert schema_of(fifteen) == schema_of(database.owner_url)
    with psycopg.connect(fifteen) as connection:
        assert present(connection) == expected()  # to verify there is no drift either


def test_a_database_of_the_users_own_gives_the_application_role_its_first_password(
    start: Start, tmp_path: Path
) -> None:
    owner_url = start().database().owner_url
    migrate(owner_url)
    data_dir = DataDir(tmp_path / "data")
    app_url = external.app_url(owner_url, data_dir)
    with psycopg.connect(app_url) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("autodoctor_app",)
    assert external.app_url(owner_url, data_dir) == app_url
    with pytest.raises(external.AppRoleInUse):
        external.app_url(owner_url, DataDir(tmp_path / "another"))


def schema_of(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute(SCHEMA)]
