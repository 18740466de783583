"""What other processes use of the processors, from /proc: it hardly depends on what else the machine does."""

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
HAS_PROC: Final = _PROC.exists()


def processor_seconds(pid: int) -> float:
    """What the first thread of a process has used, to the nanosecond."""
    return int((_PROC / str(pid) / "schedstat").read_text().split()[0]) / 1e9


def family_seconds(pid: int) -> float:
    """What a process and its children have used, those that have ended too, but for threads beside the first."""
    others = [int(each.name) for each in _PROC.iterdir() if each.name.isdecimal()]
    ended = sum(int(each) for each in _fields(pid)[13:15]) / os.sysconf("SC_CLK_TCK")
    return (
        processor_seconds(pid) + ended + sum(processor_seconds(each) for each in others if _parent_or_none(each) == pid)
    )


def parent(pid: int) -> int:
    """The process that started this one."""
    return int(_fields(pid)[1])


def _parent_or_none(pid: int) -> int | None:
    try:
        return parent(pid)
    except OSError:  # it has ended meanwhile
        return None


def _fields(pid: int) -> list[str]:
    """The fields of proc(5)'s `stat` from the third on."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
