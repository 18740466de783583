"""`autodoctor dev` as a real process, for tests of its behaviour at a terminal."""

import contextlib
import json
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from localcloud.database.postgres import PostgresServer, PostgresSettings
from localcloud.host import ports
from localcloud.host.processes import command_of

AUTODOCTOR = (str(Path(sys.executable).with_name("autodoctor")),)
READY_SECONDS = 60.0
# Less than 5 on a machine that has nothing else to do.
GONE_SECONDS = 60.0


class NotReady(Exception):
    """The server ended, or was silent, before it was ready; carries its exit code and its stderr."""


@dataclass
class Dev:
    """A running `autodoctor dev --json`; `ready` is its one line."""

    process: subprocess.Popen[str]
    data_dir: Path
    ready: dict[str, Any]

    @property
    def ports(self) -> list[int]:
        """Its addresses: API and PostgreSQL."""
        return [urlsplit(self.ready[key]).port or 0 for key in ("apiUrl", "databaseUrl")]

    def call(self, person: str, method: str, path: str, body: object = None) -> httpx.Response:
        """Make one API call as somebody of the roster."""
        return httpx.request(
            method,
            self.ready["apiUrl"] + path,
            json=body,
            headers={"Authorization": f"Bearer {self.ready['tokens'][person]}"},
            timeout=30,
        )

    def family(self) -> set[int]:
        """Return every process of it, the one we started included."""
        return {self.process.pid} | descendants(self.process.pid)

    def leaves_nothing(self, family: set[int]) -> bool:
        """Say whether processes and ports are gone."""
        return eventually(lambda: all(map(ended, family)) and all(map(ports.is_free, self.ports)))


def eventually(condition: Callable[[], bool], within: float = GONE_SECONDS) -> bool:
    """Say whether `condition` came true within so many seconds."""
    deadline = time.monotonic() + within
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def ended(pid: int) -> bool:
    """Say whether a process has ended; one that nobody has waited for yet has no command line left."""
    return command_of(pid) == ""


def descendants(pid: int) -> set[int]:
    """Return the ids of all processes below `pid`."""
    children = {
        int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
    }
    return children.union(*map(descendants, children))


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `autodoctor` to its end, which of a demo may be after everything that it waits for has come late."""
    return subprocess.run([*AUTODOCTOR, *arguments], capture_output=True, text=True, cwd=cwd, timeout=600, check=False)


@contextlib.contextmanager
def running_dev(
    data_dir: Path,
    *arguments: str,
    command: Sequence[str] = AUTODOCTOR,
    preexec: Callable[[], None] | None = None,
) -> Iterator[Dev]:
    """Start a server, wait until it is ready, and stop it at the end if the test has not. Raises NotReady."""
    port = () if "--port" in arguments else ("--port", str(ports.scattered_port()))
    log = data_dir.with_suffix(".stderr")
    with (
        log.open("a") as stderr,
        subprocess.Popen(
            [*command, "dev", "--json", "--data-dir", str(data_dir), *port, *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            preexec_fn=preexec,  # noqa: PLW1509 - one thread here
        ) as process,
    ):
        assert process.stdout
        try:
            select.select([process.stdout], [], [], READY_SECONDS)
            line = process.stdout.readline() if process.poll() is None else ""
            if not line:
                raise NotReady(f"exit code {process.wait(GONE_SECONDS)}: {log.read_text()}")
            yield Dev(process, data_dir, json.loads(line))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(GONE_SECONDS)


def discard(data_dir: Path) -> None:
    """Remove the database of a data folder, which may be elsewhere (binaries.home_for)."""
    PostgresServer(PostgresSettings(data_dir / "postgres", ports.DEFAULT_PORT), print).discard()
