"""Clears up after an unclean end: a server that still runs on the cluster's folder, or a stale postmaster.pid.

`postmaster.pid` survives SIGKILL and a power cut, and its process id may by then be another process's. So the id alone
proves nothing: a server counts as left over only when its command line names this very folder.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from localcloud.host.processes import command_of

_FAST_SHUTDOWN_SECONDS = 10.0
_IMMEDIATE_SHUTDOWN_SECONDS = 5.0


@dataclass(frozen=True)
class Postmaster:
    """The lines of postmaster.pid that matter here."""

    pid: int
    port: int
    ready: bool


class LeftoverWillNotStop(Exception):
    """A PostgreSQL server of an earlier run is still using the folder and survived SIGKILL."""

    def __init__(self, pgdata: Path, pid: int) -> None:
        super().__init__(f"PostgreSQL process {pid} of an earlier run still uses {pgdata} and does not stop")


def read_postmaster(pgdata: Path) -> Postmaster | None:
    """Read postmaster.pid; None when there is none, or only a part of one."""
    try:
        lines = (pgdata / "postmaster.pid").read_text().splitlines()
        # Line 1 the process, 4 the port, 8 (once there) its state: "starting", "ready", "stopping".
        return Postmaster(int(lines[0]), int(lines[3]), lines[7:] != [] and lines[7].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def clear(pgdata: Path) -> str | None:
    """Stop a server that an earlier run left on `pgdata`, and remove a stale postmaster.pid.

    The caller holds the folder's lock, so no other server may be running on it. Returns a sentence about what
    was done, or None when the last end was clean. Raises LeftoverWillNotStop.
    """
    pid_file = pgdata / "postmaster.pid"
    if not pid_file.exists():
        return None
    found = read_postmaster(pgdata)
    if found and _serves(found.pid, pgdata):
        _stop(found.pid, pgdata)
        pid_file.unlink(missing_ok=True)
        return f"stopped the PostgreSQL server {found.pid} that an earlier run left on port {found.port}"
    pid_file.unlink(missing_ok=True)
    return "the last run ended uncleanly; PostgreSQL recovers its data from its log"


def _serves(pid: int, pgdata: Path) -> bool:
    """Say whether `pid` is a server of this folder, and not an unrelated process with a reused id."""
    return f"-D {pgdata} " in f"{command_of(pid)} "


def _stop(pid: int, pgdata: Path) -> None:
    for number, patience in (
        (signal.SIGINT, _FAST_SHUTDOWN_SECONDS),
        (signal.SIGQUIT, _IMMEDIATE_SHUTDOWN_SECONDS),
        (signal.SIGKILL, _IMMEDIATE_SHUTDOWN_SECONDS),
    ):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _serves(pid, pgdata):
                return
            time.sleep(0.02)
    raise LeftoverWillNotStop(pgdata, pid)
