"""The data folder of `autodoctor dev`: its files, and the lock that one server holds.

    lock            held while a server uses the folder; says who
    server.json     where the running server is, for `demo`, `token` and `invoke`
    messages.sqlite messages in queues, and events still to be delivered
    files/          the objects of the buckets: what was uploaded
    postgres/       the cluster, its log, its passwords
    tokens/         one access token per person of the roster
    headers/        the same as HTTP headers, for `curl -H @FILE`
    intake.json     a sample request body

Secrets in it are readable by their owner only.
"""

import contextlib
import fcntl
import json
import os
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from autodoctor.operations.console import Refusal
from localcloud.host.processes import command_of, is_alive

DEFAULT = Path(".autodoctor")
# A guardian needs up to 3.5 s to stop PostgreSQL after its parent was killed.
_GUARDIAN_SECONDS = 8.0
_OURS = {"lock", "server.json", "postgres", "tokens", "issuer-key.pem"}


def option(folder: Path) -> str:
    """Return the option that names the folder, with a space before it; nothing for the default."""
    return "" if folder == DEFAULT else f" --data-dir {shlex.quote(str(folder))}"


class FolderUnusable(Refusal):
    """The data folder cannot be made, read or written."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(f"{folder} cannot be the data folder: {error.strerror}; name another with --data-dir")


class FolderForeign(Refusal):
    """The folder holds other files only: it is a checkout, or somebody's home."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder.resolve()} holds files that are not ours; name an empty or new folder with --data-dir"
        )


class NoServer(Refusal):
    """No server runs on the data folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"no server runs on {folder}; start one with `autodoctor dev{option(folder)}`")


class FolderHeld(Exception):
    """Another process is using the data folder."""

    def __init__(self, folder: Path, pid: int | None, command: str) -> None:
        who = f"process {pid} ({command})" if pid else "another process"
        super().__init__(f"{folder} is in use by {who}")
        self.pid = pid


@dataclass(frozen=True)
class RunningServer:
    """The addresses of a server, written when it was ready.

    `embedded` says that the database is our own; `tokens` maps a name of the roster to an access token;
    `realtime_url` is the WebSocket API's.
    """

    pid: int
    api_url: str
    owner_url: str
    app_url: str
    embedded: bool
    tokens: dict[str, str]
    realtime_url: str = ""


class DataDir:
    """One data folder, made if missing."""

    def __init__(self, folder: Path) -> None:
        """Make `folder`; PostgreSQL's account may pass through it, and do nothing else there.

        Raises FolderUnusable and FolderForeign.
        """
        with _usable(folder):
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(0o711)
            present = set(os.listdir(folder))  # noqa: PTH208 (it may be a file, or somebody else's)
        if present and not present & _OURS:
            raise FolderForeign(folder)
        self.folder = folder
        self.postgres = folder / "postgres"
        self._lock = folder / "lock"
        self._server = folder / "server.json"

    @contextlib.contextmanager
    def hold(self) -> Iterator[int]:
        """Hold the folder for this process; yield the open lock file, to be shared with a guardian.

        Waits for the guardian of a server that was killed a moment ago. Raises FolderHeld and FolderUnusable.
        """
        with _usable(self.folder):
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._wait_for(descriptor)
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps([os.getpid(), command_of(os.getpid())]).encode(), 0)
            yield descriptor
        finally:
            os.close(descriptor)

    def holder(self) -> int | None:
        """Return the process that holds the folder, None when nobody does."""
        with self._lock.open("a+") as lock:
            if _try_lock(lock.fileno()):
                return None
        return self._recorded_holder()[0]

    def announce(self, server: RunningServer) -> None:
        """Write the server's addresses to the folder."""
        self.write_private("server.json", json.dumps(asdict(server)))

    def withdraw(self) -> None:
        """Remove the file that `announce` wrote."""
        self._server.unlink(missing_ok=True)

    def running_server(self) -> RunningServer | None:
        """Return the addresses of the server that holds this folder; None when there is none or it is not ready.

        Raises FolderUnusable.
        """
        with _usable(self.folder):
            if not self._server.exists() or (pid := self.holder()) is None:
                return None
            try:
                written = self._server.read_text()
            except FileNotFoundError:  # it is stopping
                return None
        server = RunningServer(**json.loads(written))
        return server if server.pid == pid else None

    def server(self) -> RunningServer:
        """Return the addresses of the server that holds this folder. Raises NoServer and FolderUnusable."""
        server = self.running_server()
        if server is None:
            raise NoServer(self.folder)
        return server

    def write_private(self, name: str, text: str) -> Path:
        """Write a file, readable by its owner only, replacing an older one at once."""
        file = self.folder / name
        file.parent.mkdir(mode=0o700, exist_ok=True)
        fresh = file.with_name(f".{file.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        fresh.write_text(text)
        return fresh.replace(file)

    def _wait_for(self, descriptor: int) -> None:
        deadline = time.monotonic() + _GUARDIAN_SECONDS
        while not _try_lock(descriptor):
            pid, command = self._recorded_holder()
            if pid or time.monotonic() > deadline:
                raise FolderHeld(self.folder, pid, command)
            time.sleep(0.05)

    def _recorded_holder(self) -> tuple[int | None, str]:
        """Return the holder's id and command line; no id when that process has ended."""
        try:
            pid, command = json.loads(self._lock.read_text())
        except ValueError:  # caught between taking the lock and writing who has it
            return None, ""
        return (pid if is_alive(pid) and command_of(pid) == command else None), command


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderUnusable(folder, error) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
