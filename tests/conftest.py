"""Fixtures that every folder of tests shares: a real PostgreSQL and a fresh, migrated database per test.

The server starts when the first test asks for it, once per test process (so once per xdist worker); the
schema is migrated once, into a template, and each test gets a copy of that in about 20 ms. The guardian stops
the server and removes its files even when pytest is killed.
"""

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from hypothesis import settings

from autodoctor.db import database as database_of_functions
from autodoctor.ids import new_id
from autodoctor.migrations import migrate
from autodoctor.observability import metrics
from localcloud.database.postgres import APP_ROLE, Database, PostgresServer, PostgresSettings
from localcloud.host import ports
from support.account_settings import USUAL, AccountSettings
from support.database.statement_log import LOG_LINE_PREFIX, pinning, statements
from support.world import Mechanic, World

if TYPE_CHECKING:
    from support.account import Account

# A container may forbid to keep bytecode: each of hundreds of processes would compile everything it imports.
if sys.dont_write_bytecode:
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The same examples in every run, and no deadline, which a slow machine would miss.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("repeatable")

# What every function has from template.yaml: their code is imported here once, without their environment.
metrics.namespace = "AutoDoctor"

TEMPLATE = "template_migrated"
# A database is 700 files, made and removed for each test: some file systems take a tenth of a second for that.
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own with a random name is made in it
MEMORY_NEEDED = 2 * 1024**3
SHOWN_LINES = 60
_numbers = itertools.count(1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, of a test that failed, what the last requests, functions and queues of its account logged."""
    report = yield
    account: Account | None = getattr(item, "funcargs", {}).get("account")
    if call.excinfo is not None and account is not None:
        report.sections.append(("local cloud", "\n".join(map(str, account.lines[-SHOWN_LINES:]))))
    return report


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server without a schema for as long as the tests run."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED
    folder = Path(tempfile.mkdtemp(prefix="autodoctor-test-", dir=MEMORY if in_memory else None))
    folder.chmod(0o711)  # the account that PostgreSQL runs as passes through
    settings = PostgresSettings(
        folder / "postgres",
        ports.scattered_port(),
        durable=False,
        delete=folder,
        options={
            "log_line_prefix": LOG_LINE_PREFIX,
            "log_parameter_max_length": "0",
            "max_wal_size": "128MB",
            "min_wal_size": "32MB",
            "scram_iterations": "1",  # each test logs in three or four times
        },
    )
    server = PostgresServer(settings, progress=lambda _sentence: None)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Migrate one database that every test's own is a copy of, and give its name.

    Every statement of the application role goes to `postgres_server.log_file` from here on. When the last test
    of this process is done, none that the functions sent may be one that would pin a connection of RDS Proxy.
    """
    template = postgres_server.create_database(TEMPLATE)
    migrate(template.owner_url)
    with psycopg.connect(template.owner_url, autocommit=True) as owner:  # nobody waits for late evidence or a contest
        owner.execute(
            "INSERT INTO settings (key, value) VALUES ('evidence_grace_seconds', '0'), ('payout_hold_hours', '0')"
        )
    postgres_server.let_app_log_in()
    with psycopg.connect(postgres_server.database().superuser_url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {APP_ROLE} SET log_statement = 'all'")
    yield TEMPLATE
    with postgres_server.log_file.open(errors="replace") as log:
        would_pin = pinning(statements(log))
    assert not would_pin, "\n".join(would_pin)


@pytest.fixture
def database(postgres_server: PostgresServer, template_database: str) -> Iterator[Database]:
    """Give the test a database of its own, migrated and otherwise empty."""
    name = f"test_{next(_numbers)}"
    with postgres_server.temporary_database(name, template_database) as database:
        yield database


@pytest.fixture
def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Give the test an empty database of its own to put people into, and use cases the one setting they read."""
    monkeypatch.setenv("SESSION_BASE_URL", "https://sessions.example")
    world = World(database)
    yield world
    world.close()


@pytest.fixture(autouse=True)
def _execution_environment() -> Iterator[None]:
    """Give a test that calls a handler in this process an execution environment of its own: its connection ends here.

    A connection that stayed open would be the ResourceWarning of whichever test runs when it is collected.
    """
    yield
    if database_of_functions.cache_info().currsize:
        database_of_functions().close()
        database_of_functions.cache_clear()


@pytest.fixture
def customer() -> UUID:
    """The `sub` of a customer who has not asked for anything yet."""
    return new_id()


@pytest.fixture
def mechanic(world: World) -> Mechanic:
    """An active mechanic, who is available."""
    return world.mechanic()


@pytest.fixture
def next_week() -> str:
    """An instant in a week, as clients write it."""
    return (datetime.now(UTC) + timedelta(days=7)).isoformat()


@pytest.fixture(scope="module")
def account_settings() -> AccountSettings:
    """How the file's account differs from the usual one: not at all, unless a file or folder has this fixture too."""
    return USUAL


@pytest.fixture(scope="module")
def account(
    request: pytest.FixtureRequest,
    postgres_server: PostgresServer,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
    account_settings: AccountSettings,
) -> Iterator["Account"]:
    """Run the functions of template.yaml on a database that only the tests of this file use."""
    from support.account import running_account  # noqa: PLC0415 (a second that only these tests pay)

    name = request.module.__name__.rpartition(".")[2]
    folder = tmp_path_factory.mktemp("account")
    with (
        postgres_server.temporary_database(name, template_database) as database,
        running_account(database, folder, account_settings) as account,
    ):
        yield account
