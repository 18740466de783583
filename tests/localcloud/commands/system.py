"""Everything below the gateway, started in order: data folder, ports, PostgreSQL, schema, roster.

`autodoctor dev` keeps it running until it is stopped; `demo` and `invoke` need it for a moment.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from autodoctor.migrations import migrate
from autodoctor.operations.console import Console
from localcloud.database import external
from localcloud.database.postgres import PostgresFailed, PostgresServer, PostgresSettings
from localcloud.host import ports
from localcloud.host.datadir import DEFAULT, DataDir, option
from localcloud.identity import roster


@dataclass(frozen=True)
class Options:
    """The user's options. `port` None: the first free block. `database_url` None: our own PostgreSQL.

    `listen` is an address beside the loopback one, where that PostgreSQL answers too.
    """

    port: int | None = None
    data_dir: Path = DEFAULT
    ephemeral: bool = False
    database_url: str | None = None
    app_database_url: str | None = None
    listen: str | None = None


@dataclass(frozen=True)
class System:
    """The running parts, and the port for the gateway.

    `embedded` is our PostgreSQL, None when the user's own is used.
    """

    data_dir: DataDir
    port: int
    owner_url: str
    app_url: str
    embedded: PostgresServer | None

    def database_runs(self) -> bool:
        """Say whether our PostgreSQL still runs; one of the user's own is not ours to watch."""
        return self.embedded is None or self.embedded.running


@contextlib.contextmanager
def prepared(options: Options, console: Console) -> Iterator[System]:
    """Start the system, and stop at the end everything that was started for it.

    Raises datadir.FolderHeld, datadir.FolderUnusable, ports.PortTaken, ports.NoFreePort or console.StepFailed.
    """
    with data_dir_for(options) as data_dir, data_dir.hold() as lock:
        api_port, database_port = _choose_ports(options.port, console)
        if options.database_url:
            url, app_url = options.database_url, options.app_database_url
            _migrate_and_seed(url, console, "look at --database-url: the owner's, PostgreSQL 15 or newer")
            with console.step("application role", "--app-database-url URL"):
                app_url = app_url or external.app_url(url, data_dir)
            yield System(data_dir, api_port, url, app_url, embedded=None)
            return
        settings = PostgresSettings(
            data_dir.postgres,
            database_port,
            durable=not options.ephemeral,
            delete=data_dir.folder if options.ephemeral else None,
            lock=lock,
            listen=options.listen,
        )
        with _postgres(settings, console, _reset(options)) as server:
            database = server.database()
            _migrate_and_seed(database.owner_url, console, _reset(options))
            server.let_app_log_in()
            yield System(data_dir, api_port, database.owner_url, database.app_url, server)


@contextlib.contextmanager
def data_dir_for(options: Options) -> Iterator[DataDir]:
    """Open the chosen data folder, or make a temporary one."""
    if not options.ephemeral:
        yield DataDir(options.data_dir)
        return
    with tempfile.TemporaryDirectory(prefix="autodoctor-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield DataDir(Path(folder))


def _choose_ports(wanted: int | None, console: Console) -> tuple[int, int]:
    """Return the gateway's port and PostgreSQL's, before anything starts. Raises PortTaken, NoFreePort."""
    if wanted is None:
        first = ports.free_block()
        if first != ports.DEFAULT_PORT:
            console.note(f"ports {ports.DEFAULT_PORT} and {ports.DEFAULT_PORT + 1} are not both free, using {first}")
        return first, first + 1
    if not ports.is_free(wanted):
        raise ports.PortTaken(wanted)
    following = wanted + 1 if wanted + 1 < ports.FIRST_EPHEMERAL_PORT else ports.DEFAULT_PORT
    # PostgreSQL runs as an account of its own, which has no right to the ports below
    return wanted, ports.free_block(max(following, ports.FIRST_FREE_FOR_ALL), size=1)


@contextlib.contextmanager
def _postgres(settings: PostgresSettings, console: Console, hint: str) -> Iterator[PostgresServer]:
    server = PostgresServer(settings, console.note)
    if not settings.delete:
        hint = f"look into {server.log_file}, or {hint}"
    with console.step(f"PostgreSQL on port {settings.port}", hint, server.log_file):
        server = _started(server, settings, console)
    try:
        yield server
    finally:
        server.stop()


def _started(server: PostgresServer, settings: PostgresSettings, console: Console) -> PostgresServer:
    """Start it; on the next port where another one, that started at the same moment, was faster."""
    while True:
        try:
            server.start()
        except PostgresFailed:
            if settings.delete or ports.is_free(settings.port):  # a folder that is to be deleted is gone by now
                raise
        else:
            return server
        following = ports.free_block(settings.port + 1, size=1)
        console.note(f"port {settings.port} was taken meanwhile, using {following}")
        settings = replace(settings, port=following)
        server = PostgresServer(settings, console.note)


def _reset(options: Options) -> str:
    """Say how to get a new database in place of the one that failed."""
    if options.ephemeral:
        return "again, or autodoctor dev without --ephemeral, which keeps its log"
    return f"autodoctor dev reset{option(options.data_dir)}, which deletes this database and makes an empty one"


def _migrate_and_seed(owner_url: str, console: Console, hint: str) -> None:
    with console.step("schema", hint):
        applied = migrate(owner_url)
        console.note(f"applied {', '.join(applied)}" if applied else "the schema is up to date")
    with console.step("roster", hint):
        roster.seed(owner_url)
