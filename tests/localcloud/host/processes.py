"""Processes: whether one is alive, its command line, and the number of files that ours may open."""

import os
import resource
import subprocess
from pathlib import Path

_PROC = Path("/proc")
_MANY_FILES = 10_240  # every system that we know allows a process this many


def is_alive(pid: int) -> bool:
    """Say whether a process with this id exists; a system reuses the ids of ended processes."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def command_of(pid: int) -> str:
    """Return the command line of a process, empty when there is none or the system does not show it."""
    if not _PROC.exists():
        done = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return done.stdout.strip()
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return ""
    return " ".join(word.decode(errors="replace") for word in words if word)


def allow_many_files() -> None:
    """Let this process hold thousands of connections, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if hard == resource.RLIM_INFINITY else min(_MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
