"""TCP ports on the loopback address: finds free ones, and names the holder of a taken one.

Every listener of the local cloud is chosen here before anything starts, below the range from which the
kernel hands out client ports (32768 on Linux), so that a browser's own connection never takes one of ours.
"""

import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from localcloud.host.processes import command_of

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8787
FIRST_FREE_FOR_ALL = 1024
FIRST_EPHEMERAL_PORT = 32768
_TCP_LISTEN = "0A"


@dataclass(frozen=True)
class Holder:
    """The process that listens on a port."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


class PortTaken(Exception):
    """A process already listens on the requested port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken by {holder_of(port) or 'a process that the system does not name'}")
        self.port = port


class NoFreePort(Exception):
    """No block of ports is free between the requested one and the ephemeral range."""

    def __init__(self, first: int, size: int) -> None:
        super().__init__(f"no {size} free ports in a row between {first} and {FIRST_EPHEMERAL_PORT}")


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Say whether we could listen on `port` now, by trying."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As a server sets it: connections of an earlier run in TIME_WAIT do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_block(first: int = DEFAULT_PORT, size: int = 2) -> int:
    """Return the first port of `size` free ones in a row, at or after `first`.

    Raises NoFreePort when the search reaches the ephemeral range.
    """
    for start in range(first, FIRST_EPHEMERAL_PORT - size + 1, size):
        if all(is_free(port) for port in range(start, start + size)):
            return start
    raise NoFreePort(first, size)


def scattered_port() -> int:
    """Return a random free port, for servers that several test runs start at the same moment."""
    return free_block(random.randrange(10_000, FIRST_EPHEMERAL_PORT - 2_000), size=1)


def holder_of(port: int) -> Holder | None:
    """Name the process that listens on `port`; None when there is none or the system does not show it."""
    inodes = set(_listening_inodes(port))
    for folder in _process_folders():
        if inodes & set(_socket_inodes(folder)):
            return Holder(int(folder.name), command_of(int(folder.name)) or "?")
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for fields in map(str.split, lines):
            if fields[3] == _TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield f"socket:[{fields[9]}]"


def _process_folders() -> list[Path]:
    proc = Path("/proc")
    return [folder for folder in proc.iterdir() if folder.name.isdigit()] if proc.exists() else []


def _socket_inodes(folder: Path) -> Iterator[str]:
    try:
        descriptors = list((folder / "fd").iterdir())
    except OSError:  # it ended meanwhile, or belongs to somebody else
        return
    for descriptor in descriptors:
        try:
            yield str(descriptor.readlink())
        except OSError:
            continue
