"""A PostgreSQL server of our own, for `autodoctor dev` and for the tests.

It listens on TCP at 127.0.0.1 only, with SCRAM passwords, because the functions reach it as they reach a
managed database. For programs, account, and the place of the data when root starts us, see binaries.py. A guardian
process (guardian.py) stops the server when we have ended.
"""

import json
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import psycopg
from psycopg import sql

from localcloud.database import binaries, leftover
from localcloud.host import ports

type Role = Literal["postgres", "autodoctor_owner", "autodoctor_app"]

DATABASE = "autodoctor"
OWNER_ROLE: Final = "autodoctor_owner"
APP_ROLE: Final = "autodoctor_app"
SUPERUSER: Final = "postgres"

_START_SECONDS = 60.0  # recovery after an unclean end replays the log first
_STOP_SECONDS = 60.0  # the guardian ends the server within 4 s, and then removes the folders it was given
_LOG_LIMIT_BYTES = 5_000_000
# Nothing to lose in a test, and a third of the time.
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresFailed(Exception):
    """PostgreSQL could not be set up or started; `log` ends with its reason."""

    def __init__(self, step: str, reason: str, log: Path | None = None) -> None:
        super().__init__(f"PostgreSQL failed to {step}: {reason}")
        self.step = step
        self.log = log


@dataclass(frozen=True)
class PostgresSettings:
    """The settings of one server.

    `folder` will hold the cluster, its log and its passwords. `delete` is a folder to remove, with the cluster,
    when the server has ended. `lock` is an open file; the guardian keeps its lock while the server runs, even if
    we end first. `options` are PostgreSQL's own, such as {"log_statement": "all"}. `listen` is an address beside the
    loopback one, on which clients of its network are let in, with a password as everywhere.
    """

    folder: Path
    port: int
    bin_dir: Path | None = None
    durable: bool = True
    delete: Path | None = None
    lock: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    listen: str | None = None


@dataclass(frozen=True)
class Database:
    """The connection strings of one database, one per role."""

    name: str
    app_url: str
    owner_url: str
    superuser_url: str


class PostgresServer:
    """One server: call `start`, then `url`, and `stop` at the end."""

    def __init__(self, settings: PostgresSettings, progress: Callable[[str], None]) -> None:
        """Prepare a server; `progress` gets a short sentence at each step that takes time."""
        self._settings = settings
        self._progress = progress
        self._account = binaries.server_account()
        self._home = binaries.home_for(settings.folder.resolve(), self._account)
        self._pgdata = self._home / "pgdata"
        self._guardian: subprocess.Popen[bytes] | None = None
        self.log_file = self._home / "postgres.log"

    @property
    def home(self) -> Path:
        """The folder with the cluster, perhaps not the requested one (binaries.home_for)."""
        return self._home

    @property
    def running(self) -> bool:
        """Whether the server has been started and has not ended."""
        return self._guardian is not None and self._guardian.poll() is None

    def url(self, role: Role, database: str = DATABASE) -> str:
        """Return the connection string of `role`."""
        password = self._passwords()[role]
        return f"postgresql://{role}:{password}@{ports.LOOPBACK}:{self._settings.port}/{database}"

    def database(self, name: str = DATABASE) -> Database:
        """Return the connection strings of one database."""
        return Database(name, self.url(APP_ROLE, name), self.url(OWNER_ROLE, name), self.url(SUPERUSER, name))

    def start(self) -> None:
        """Make the cluster if there is none, start it, and create missing roles and databases.

        Recovers from an unclean end. Raises PostgresFailed, binaries.ProgramsUnusable or
        leftover.LeftoverWillNotStop.
        """
        bin_dir = binaries.programs(self._settings.bin_dir, self._account, self._progress)
        if self._home != self._settings.folder.resolve():
            self._progress(
                f"the database is in {self._home}, because its account may not enter {self._settings.folder}"
            )
        if not self._pgdata.exists():
            self._initialise(bin_dir)
        self._refuse_other_version(bin_dir)
        if note := leftover.clear(self._pgdata):
            self._progress(note)
        self._launch(bin_dir / "postgres")
        try:
            self._wait_until_ready()
            self._provision()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and wait until it has ended; a second call does nothing."""
        if self._guardian is None:
            return
        assert self._guardian.stdin
        self._guardian.stdin.close()
        try:
            self._guardian.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        self._guardian = None
        if self._pgdata.exists():  # the guardian was killed and could not stop the server
            leftover.clear(self._pgdata)

    def discard(self) -> None:
        """Remove the cluster with all its data, after stopping a server that an earlier run may have left on it."""
        if self._pgdata.exists():
            leftover.clear(self._pgdata)
        shutil.rmtree(self._home)

    def let_app_log_in(self) -> None:
        """Give the application role its password; a migration creates the role without one."""
        with psycopg.connect(self.url(SUPERUSER), autocommit=True) as connection:
            connection.execute(
                sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(
                    sql.Identifier(APP_ROLE), sql.Literal(self._passwords()[APP_ROLE])
                )
            )

    def create_database(self, name: str, template: str = "template1") -> Database:
        """Create a database that the owner role owns, as a copy of `template`."""
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY {}").format(
                    sql.Identifier(name), sql.Identifier(template), sql.Identifier(OWNER_ROLE), self._strategy
                )
            )
        return self.database(name)

    @property
    def _strategy(self) -> sql.SQL:
        """How a template is copied: files cost half of what blocks do, but for the disk that a checkpoint waits for."""
        return sql.SQL("WAL_LOG" if self._settings.durable else "FILE_COPY")

    def drop_database(self, name: str) -> None:
        """Drop a database and end all connections to it."""
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def temporary_database(self, name: str, template: str = "template1") -> Iterator[Database]:
        """Create a database as `create_database` does, and drop it at the end."""
        database = self.create_database(name, template)
        try:
            yield database
        finally:
            self.drop_database(name)

    def _passwords(self) -> dict[str, str]:
        """Return each role's password, made once and kept where only the server's account may read it."""
        file = self._home / "passwords.json"
        if not file.exists():
            made = {role: secrets.token_hex(12) for role in (SUPERUSER, OWNER_ROLE, APP_ROLE)}
            self._write_private(file, json.dumps(made))
        passwords: dict[str, str] = json.loads(file.read_text())
        return passwords

    def _write_private(self, file: Path, text: str) -> None:
        file.touch(mode=0o600)
        if self._account:
            shutil.chown(file, self._account.uid, self._account.gid)
        file.write_text(text)

    def _initialise(self, bin_dir: Path) -> None:
        """Run initdb beside the final place, then move the result, so that half a cluster is never used."""
        self._progress("initialising the database folder")
        unfinished = self._home / "pgdata.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file = self._home / "superuser.password"
        self._write_private(password_file, self._passwords()[SUPERUSER])
        command = [
            str(bin_dir / "initdb"),
            *("-D", str(unfinished), "-U", SUPERUSER, "--pwfile", str(password_file)),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions"),
            *([] if self._settings.durable else ["--no-sync"]),
        ]
        if self._account:
            done = self._account.run(*command)
        else:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        password_file.unlink()
        if done.returncode:
            raise PostgresFailed("initialise", (done.stderr or done.stdout).strip())
        unfinished.rename(self._pgdata)

    def _refuse_other_version(self, bin_dir: Path) -> None:
        made_by = (self._pgdata / "PG_VERSION").read_text().strip()
        answer = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, text=True, check=True)
        if f" {made_by}." not in answer.stdout:
            raise PostgresFailed(
                "start", f"{self._pgdata} was made by version {made_by}, this is {answer.stdout.strip()}"
            )

    def _launch(self, program: Path) -> None:
        if self.log_file.exists() and self.log_file.stat().st_size > _LOG_LIMIT_BYTES:
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        account = self._account
        self._guardian = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py"))),
                *("--log", str(self.log_file)),
                *(["--uid", str(account.uid), "--gid", str(account.gid)] if account else []),
                *(["--delete", str(self._home), str(self._settings.delete)] if self._settings.delete else []),
                *("--", str(program), "-D", str(self._pgdata)),
                *(word for name, value in self._options().items() for word in ("-c", f"{name}={value}")),
            ],
            stdin=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            pass_fds=() if self._settings.lock is None else (self._settings.lock,),
        )

    def _options(self) -> dict[str, str]:
        return {
            "port": str(self._settings.port),
            "listen_addresses": ports.LOOPBACK,
            **({} if self._settings.listen is None else self._also_on(self._settings.listen)),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            "log_error_verbosity": "terse",  # an error's details contain whole rows: names, addresses
            "max_connections": "200",
            **({} if self._settings.durable else _NOT_DURABLE),
            **self._settings.options,
        }

    def _also_on(self, address: str) -> dict[str, str]:
        """The options that let clients in on a further address; initdb's own rules know the loopback one only."""
        rules = self._home / "pg_hba.conf"
        own = (self._pgdata / "pg_hba.conf").read_text(encoding="utf-8")
        self._write_private(rules, f"{own}\nhost all all samenet scram-sha-256\n")
        return {"listen_addresses": f"{ports.LOOPBACK},{address}", "hba_file": str(rules)}

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                raise PostgresFailed("start", "it ended at once", self.log_file)
            found = leftover.read_postmaster(self._pgdata)
            if found and found.ready:
                return
            time.sleep(0.01)
        raise PostgresFailed("start", f"not ready after {_START_SECONDS:.0f} s", self.log_file)

    def _provision(self) -> None:
        """Create the owner's role and database if missing; a migration creates the application's role."""
        with psycopg.connect(self.url(SUPERUSER, "postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER_ROLE]).fetchone():
                connection.execute(
                    sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}").format(
                        sql.Identifier(OWNER_ROLE), sql.Literal(self._passwords()[OWNER_ROLE])
                    )
                )
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not known:
            self.create_database(DATABASE)
