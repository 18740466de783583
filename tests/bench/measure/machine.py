"""The machine that the bench runs on, and how busy others keep it."""

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_STAT = Path("/proc/stat")


@dataclass(frozen=True)
class Machine:
    """Where and when a run took place. `busy` is the share of the processors in use by others, 0 to 1."""

    at: datetime
    processors: int
    load: tuple[float, float, float]
    busy: float


def look() -> Machine:
    """Describe the machine; takes two seconds, in which we do nothing."""
    return Machine(datetime.now(UTC), os.cpu_count() or 1, os.getloadavg(), busy())


def busy(seconds: float = 2.0) -> float:
    """The share of all processors in use while we sleep; without /proc, what the load average says."""
    if not _STAT.exists():
        return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    used_before, all_before = _ticks()
    time.sleep(seconds)
    used_after, all_after = _ticks()
    return (used_after - used_before) / max(1, all_after - all_before)


def _ticks() -> tuple[int, int]:
    """Ticks in use (also those stolen by the host's other guests) and ticks in all, since boot."""
    fields = [int(field) for field in _STAT.read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]  # idle and waiting for I/O
    return sum(fields) - idle, sum(fields)
